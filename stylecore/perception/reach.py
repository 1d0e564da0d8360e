"""How far a pixel's influence reaches in a network, which says what a tile has to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from stylecore.errors import JobError
from stylecore.images.tiling import ALIGNMENT_PX
from stylecore.perception.encoder import ConvolutionAndReLU, Encoder
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, check_layers


@dataclass(frozen=True, slots=True)
class TileGeometry:
    """What tiles must know of some layers.

    Attributes:
        strides: layer name to pixels a cell of its feature map, along each side.
        halo_px: the least halo, a multiple of ``ALIGNMENT_PX``, with which the features of a
            tile's core are those of the whole picture.
    """

    strides: Mapping[str, int]
    halo_px: int


def find_geometry(encoder: Encoder, layers: Sequence[str]) -> TileGeometry:
    """Strides and halo of layers of a VGG of any depth.

    A 3 x 3 convolution sees one cell further. A pooling does not: tiles begin where its windows
    do.

    Raises:
        JobError: a layer does not exist; or the network is no VGG, or its activations are
            smoothed, which takes the whole picture.
    """
    check_layers(layers, encoder.layer_names)
    if encoder.smoothing != "none":
        raise JobError(f"smoothing: {encoder.smoothing} takes whole pictures, not tiles: use none")
    strides: dict[str, int] = {}
    stride, reach, furthest = 1, 0, 0
    for name, stage in encoder.stages.items():
        if isinstance(stage, ConvolutionAndReLU):
            reach += stride
        elif isinstance(stage, nn.MaxPool2d | nn.AvgPool2d):
            stride *= 2
        else:
            raise JobError(f"tiles are for {' and '.join(CONVOLUTIONS_PER_BLOCK)}: use one of them")
        if name in layers:
            strides[name], furthest = stride, reach
    halo_px = -(-furthest // ALIGNMENT_PX) * ALIGNMENT_PX
    return TileGeometry(strides, halo_px)
