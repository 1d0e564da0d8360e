"""Layers of the networks by name, without torch: a request can be checked while planning.

VGG: a layer is named after the last operation in it: ``relu4_2`` is the second convolution of the
fourth block with its rectifier, ``pool4`` the pooling that closes that block. The pooling after
the last block is left out: nothing of a 16 px image would be left after it.

ResNet-50: ``relu1`` (after the first convolution), ``pool1``, and its 16 blocks, numbered as in
torchvision from zero: ``layer3_5`` is torchvision's ``layer3.5`` and the conv4_6 of He et al.

Inception-v3: torchvision's names, ``Conv2d_1a_3x3`` to ``Mixed_7c``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from stylecore.errors import JobError
from stylecore.settings import EncoderName, Pooling

CONVOLUTIONS_PER_BLOCK: Final[Mapping[EncoderName, tuple[int, ...]]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
CHANNELS_PER_BLOCK: Final = (64, 128, 256, 512, 512)
_RESNET_BLOCKS: Final = (3, 4, 6, 3)
INCEPTION_LAYERS: Final = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)


def vgg_layers(convolutions_per_block: Sequence[int]) -> Iterator[tuple[str, str | None]]:
    """Layers of a VGG in order.

    Yields:
        The layer's name, and the key of its convolution in torchvision's numbering
        (``features.N``), or None for a pooling layer, which has no weights.
    """
    index = 0
    num_blocks = len(convolutions_per_block)
    for block, num_convolutions in enumerate(convolutions_per_block, start=1):
        for position in range(1, num_convolutions + 1):
            yield f"relu{block}_{position}", f"features.{index}"
            index += 2  # the convolution and its rectifier
        if block < num_blocks:
            yield f"pool{block}", None
            index += 1


def resnet_blocks() -> Iterator[tuple[str, str]]:
    """Blocks of ResNet-50 in order: the layer's name, and its place in torchvision's module."""
    for group, num_blocks in enumerate(_RESNET_BLOCKS, start=1):
        for block in range(num_blocks):
            yield f"layer{group}_{block}", f"layer{group}.{block}"


def layer_names(encoder: EncoderName) -> tuple[str, ...]:
    """Names that can be asked for, from the image inwards."""
    if encoder == "resnet50":
        return ("relu1", "pool1", *(name for name, _ in resnet_blocks()))
    if encoder == "inception_v3":
        return INCEPTION_LAYERS
    return tuple(name for name, _ in vgg_layers(CONVOLUTIONS_PER_BLOCK[encoder]))


def check_layers(wanted: Iterable[str], available: Sequence[str]) -> None:
    """Refuse layers that the network does not have.

    Raises:
        JobError: names the unknown layers and lists the real ones.
    """
    unknown = [name for name in wanted if name not in available]
    if unknown:
        raise JobError(
            f"unknown layer {', '.join(unknown)}; the network has {', '.join(available)}"
        )


def check_pooling(encoder: EncoderName, pooling: Pooling) -> None:
    """Refuse a pooling that the network does not have.

    Raises:
        JobError: names the networks that have it.
    """
    if pooling != "max" and encoder not in CONVOLUTIONS_PER_BLOCK:
        raise JobError(
            f"pooling: {pooling} is for {' and '.join(CONVOLUTIONS_PER_BLOCK)}; {encoder} has "
            "blocks without pooling: use max"
        )
