"""A frozen pretrained network that maps images to feature maps by layer name.

The network is a sequence of named stages, so that another architecture is another sequence; the
normalisation it was trained with is inside, and nothing beyond the last layer asked for is run.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylecore.images.tensors import MINIMUM_SIDE_PX, pad_to_minimum
from stylecore.perception.layers import (
    CONVOLUTIONS_PER_BLOCK,
    check_layers,
    check_pooling,
    vgg_layers,
)
from stylecore.perception.networks import build_network
from stylecore.perception.smoothing import smooth_activations
from stylecore.settings import EncoderName, Pooling, Smoothing
from stylecore.types import FeatureMap, ImageBatch

# What average pooling is multiplied by so that activations stay as large as with max pooling:
# then relu2_1, 3_1, 4_1, 4_2 and 5_1 of VGG-16 have 1.11, 1.14, 1.09, 1.01 and 0.91 times their
# root mean square (geometric mean over the nine sample pictures at 256 px; 0.15 times at relu5_1
# if nothing is done about it). The idea is K. Crowson's, whose factor of 2 overshoots to 1.7.
AVERAGE_POOLING_SCALE: Final = 1.7


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of the three channels in [0, 1] that a network expects."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET: Final = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Inception-v3 was trained on pixels from -1 to 1.
_SIGNED: Final = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_INCEPTION_MINIMUM_SIDE_PX: Final = 75  # without padding, nothing of less is left at its end


class ConvolutionAndReLU(nn.Module):
    """A frozen 3 x 3 convolution with zero padding, then the rectifier.

    The rectifier overwrites the convolution's output, which no gradient needs: that saves one
    feature map a layer.

    Args:
        weight: kernel, shape (out, in, 3, 3); any float type, kept in single precision.
        bias: shape (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Shape (b, in, h, w) to (b, out, h, w)."""
        return functional.conv2d(features, self.weight, self.bias, padding=1).relu_()


class RescaledAveragePool(nn.AvgPool2d):
    """Average pooling whose output is about as large as that of max pooling."""

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Shape (b, c, h, w) to (b, c, h // 2, w // 2)."""
        return super().forward(features) * AVERAGE_POOLING_SCALE


_POOLINGS: Final[Mapping[Pooling, type[nn.Module]]] = {
    "max": nn.MaxPool2d,
    "average": nn.AvgPool2d,
    "average-rescaled": RescaledAveragePool,
}


class Encoder(nn.Module):
    """Named stages, run in order on normalised images.

    Args:
        stages: layer name to module, from the image inwards.
        normalization: what the network was trained with.
        minimum_side_px: images with a shorter side are extended to it, right and below, by
            repeating their edge.
        smoothing: ``softmax`` returns smoothed activations.

    Attributes:
        precision: what the stages compute in; images and feature maps are in single precision.
    """

    mean: Tensor
    std: Tensor
    precision: torch.dtype = torch.float32

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        normalization: Normalization = IMAGENET,
        minimum_side_px: int = MINIMUM_SIDE_PX,
        smoothing: Smoothing = "none",
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.minimum_side_px, self.smoothing = minimum_side_px, smoothing
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names that can be asked for, from the image inwards."""
        return tuple(self.stages)

    def forward(self, images: ImageBatch, layers: Sequence[str]) -> dict[str, FeatureMap]:
        """Feature maps of the named layers.

        Args:
            images: sRGB in [0, 1], shape (b, 3, h, w).
            layers: names; nothing beyond the last of them is computed.

        Returns:
            Name to feature map, shape (b, c, h', w').

        Raises:
            JobError: a layer does not exist; the message lists those that do.
        """
        images = pad_to_minimum(images, self.minimum_side_px)
        return self.encode_normalized((images - self.mean) / self.std, layers)

    def encode_normalized(self, images: Tensor, layers: Sequence[str]) -> dict[str, FeatureMap]:
        """As ``forward``, on images that are normalised already."""
        check_layers(layers, self.layer_names)
        found: dict[str, FeatureMap] = {}
        num_wanted = len(set(layers))
        is_reduced = self.precision != torch.float32
        features = images.to(self.precision) if is_reduced else images
        for name, stage in self.stages.items():
            if len(found) == num_wanted:
                break
            features = stage(features)
            if name in layers:
                found[name] = features.to(images.dtype)
        if self.smoothing == "softmax":
            return {name: smooth_activations(features) for name, features in found.items()}
        return found

    def in_precision(self, precision: torch.dtype) -> Encoder:
        """A copy that computes in it: in bfloat16 activations have three digits.

        It is the encoder itself where nothing would change.
        """
        if precision == self.precision:
            return self
        copied = copy.deepcopy(self)
        copied.stages.to(precision)
        copied.precision = precision
        return copied

    @cached_property
    def _without_values(self) -> Encoder:
        """A copy that only knows shapes: threads share an encoder, so it is never changed."""
        return copy.deepcopy(self).to("meta")

    def layer_sizes(
        self, height: int, width: int, layers: Sequence[str]
    ) -> dict[str, tuple[int, int]]:
        """Rows and columns of the feature maps of an image, found without computing them.

        Raises:
            JobError: a layer does not exist.
        """
        image = torch.empty(1, 3, height, width, dtype=self.mean.dtype, device="meta")
        found: dict[str, FeatureMap] = self._without_values(image, layers)
        return {name: (features.shape[-2], features.shape[-1]) for name, features in found.items()}


def build_encoder(
    name: EncoderName,
    pooling: Pooling,
    weights: Mapping[str, Tensor],
    smoothing: Smoothing = "none",
) -> Encoder:
    """The pretrained network of that name, on the CPU.

    Its weights are in channels-last order, which is 5 to 15 % faster there; another device may
    want ``encoder.to(device, memory_format=torch.contiguous_format)``.

    Args:
        name: architecture.
        pooling: what closes each block.
        weights: from ``load_weights``.
        smoothing: ``softmax`` for the statistics of residual networks.

    Raises:
        JobError: the network has no pooling of that kind.
    """
    check_pooling(name, pooling)
    encoder = _assemble(name, pooling, weights)
    encoder.smoothing = smoothing
    return encoder.to(memory_format=torch.channels_last)


def _assemble(name: EncoderName, pooling: Pooling, weights: Mapping[str, Tensor]) -> Encoder:
    if name in CONVOLUTIONS_PER_BLOCK:
        return build_vgg(CONVOLUTIONS_PER_BLOCK[name], pooling, weights)
    stages = build_network(name, weights)
    if name == "inception_v3":
        return Encoder(stages, _SIGNED, _INCEPTION_MINIMUM_SIDE_PX)
    return Encoder(stages)


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
            stages[name] = _POOLINGS[pooling](2)
        else:
            stages[name] = ConvolutionAndReLU(weights[f"{key}.weight"], weights[f"{key}.bias"])
    return Encoder(stages)
