"""A frozen pretrained network that maps images to feature maps by layer name.

The network is a sequence of named stages, so that another architecture is another sequence; the
normalisation it was trained with is inside, and nothing beyond the last layer asked for is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylecore.config import EncoderName
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, check_layers, vgg_layers
from stylecore.types import FeatureMap, ImageBatch

Pooling = Literal["max", "average"]


class ConvolutionAndReLU(nn.Module):
    """A frozen 3 x 3 convolution with zero padding, then the rectifier.

    The rectifier overwrites the convolution's output, which no gradient needs: that saves one
    feature map a layer.

    Args:
        weight: kernel, shape (out, in, 3, 3); any float type, computed in single precision.
        bias: shape (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Shape (b, in, h, w) to (b, out, h, w)."""
        return functional.conv2d(features, self.weight, self.bias, padding=1).relu_()


class Encoder(nn.Module):
    """Named stages, run in order on images normalised as ImageNet's were.

    Args:
        stages: layer name to module, from the image inwards.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, stages: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names that can be asked for, from the image inwards."""
        return tuple(self.stages)

    def forward(self, images: ImageBatch, layers: Sequence[str]) -> dict[str, FeatureMap]:
        """Feature maps of the named layers.

        Args:
            images: sRGB in [0, 1], shape (b, 3, h, w), each side at least 16 px.
            layers: names; nothing beyond the last of them is computed.

        Returns:
            Name to feature map, shape (b, c, h', w').

        Raises:
            JobError: a layer does not exist; the message lists those that do.
        """
        return self.encode_normalized((images - self.mean) / self.std, layers)

    def encode_normalized(self, images: Tensor, layers: Sequence[str]) -> dict[str, FeatureMap]:
        """As ``forward``, on images that are normalised already."""
        check_layers(layers, self.layer_names)
        found: dict[str, FeatureMap] = {}
        num_wanted = len(set(layers))
        features = images
        for name, stage in self.stages.items():
            if len(found) == num_wanted:
                break
            features = stage(features)
            if name in layers:
                found[name] = features
        return found


def build_encoder(name: EncoderName, pooling: Pooling, weights: Mapping[str, Tensor]) -> Encoder:
    """The pretrained network of that name, on the CPU.

    Its weights are in channels-last order, which is 5 to 15 % faster there; another device may
    want ``encoder.to(device, memory_format=torch.contiguous_format)``.

    Args:
        name: architecture.
        pooling: what closes each block.
        weights: from ``load_weights``.
    """
    encoder = build_vgg(CONVOLUTIONS_PER_BLOCK[name], pooling, weights)
    return encoder.to(memory_format=torch.channels_last)


def build_vgg(
    convolutions_per_block: Sequence[int], pooling: Pooling, weights: Mapping[str, Tensor]
) -> Encoder:
    """A VGG of any depth; how wide its layers are follows from the weights.

    Args:
        convolutions_per_block: how many convolutions stand before each pooling.
        pooling: what closes each block.
        weights: ``features.N.weight`` and ``features.N.bias`` in torchvision's numbering.
    """
    stages: dict[str, nn.Module] = {}
    for name, key in vgg_layers(convolutions_per_block):
        if key is None:
            stages[name] = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
        else:
            stages[name] = ConvolutionAndReLU(weights[f"{key}.weight"], weights[f"{key}.bias"])
    return Encoder(stages)
