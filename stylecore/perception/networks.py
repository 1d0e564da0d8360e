"""Networks beside VGG: torchvision's modules, with every batch normalisation folded away.

Frozen, a batch normalisation is one more linear map behind its convolution: folded into that, it
costs nothing. Only what comes before the classifier is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from stylecore.perception.layers import INCEPTION_LAYERS, resnet_blocks
from stylecore.settings import EncoderName


def expected_shapes(name: EncoderName) -> dict[str, tuple[int, ...]]:
    """Key, as torchvision has it, to shape of every weight that the network needs."""
    return {
        key: tuple(tensor.shape)
        for key, tensor in _build_skeleton(name).state_dict().items()
        if not key.endswith("num_batches_tracked")  # counts the batches of a training
    }


def build_network(name: EncoderName, weights: Mapping[str, Tensor]) -> dict[str, nn.Module]:
    """The network's stages.

    Args:
        name: ``resnet50`` or ``inception_v3``.
        weights: tensors by torchvision's keys; any float type, computed in single precision.

    Returns:
        Layer name to module, from the image inwards.
    """
    network = _build_skeleton(name)
    singles = {key: weights[key].float() for key in expected_shapes(name)}
    network.load_state_dict(singles, strict=False, assign=True)
    _fold_normalizations(network.eval().requires_grad_(False))
    return _resnet_stages(network) if name == "resnet50" else _inception_stages(network)


def _build_skeleton(name: EncoderName) -> nn.Module:
    """The network without its classifier and without memory for its weights."""
    # Imported here because it is slow and VGG does without it.
    from torchvision.models import inception_v3, resnet50

    with torch.device("meta"):
        if name == "resnet50":
            network: nn.Module = resnet50()
        else:
            network = inception_v3(aux_logits=False, init_weights=False)
    del network.fc
    return network


def _fold_normalizations(module: nn.Module) -> None:
    """Fold each batch normalisation, here and below, into the convolution that it stands behind."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in zip(children, children[1:], strict=False):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for _, child in children:
        _fold_normalizations(child)


def _resnet_stages(network: nn.Module) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {
        "relu1": nn.Sequential(network.get_submodule("conv1"), network.get_submodule("relu")),
        "pool1": network.get_submodule("maxpool"),
    }
    blocks = {name: network.get_submodule(place) for name, place in resnet_blocks()}
    return stages | blocks


def _inception_stages(network: nn.Module) -> dict[str, nn.Module]:
    return {name: network.get_submodule(name) for name in INCEPTION_LAYERS}
