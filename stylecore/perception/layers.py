"""Layers of the networks by name, without torch: a request can be checked while planning.

A layer is named after the last operation in it: ``relu4_2`` is the second convolution of the
fourth block with its rectifier, ``pool4`` the pooling that closes that block. The pooling after
the last block is left out: nothing of a 16 px image would be left after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from stylecore.config import EncoderName
from stylecore.errors import JobError

CONVOLUTIONS_PER_BLOCK: Final[Mapping[EncoderName, tuple[int, ...]]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
CHANNELS_PER_BLOCK: Final = (64, 128, 256, 512, 512)


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


def layer_names(encoder: EncoderName) -> tuple[str, ...]:
    """Names that can be asked for, from the image inwards."""
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
