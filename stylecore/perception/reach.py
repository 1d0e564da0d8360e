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
    """What tiles must know of the layers.

    Attributes:
        strides: layer name to pixels a cell of its feature map, on each side.
        halo_px: the least halo, a multiple of ``ALIGNMENT_PX``, with which the features of a
            tile's core are those of the whole picture.
    """

    strides: Mapping[str, int]
    halo_px: int


def find_geometry(encoder: Encoder, layers: Sequence[str]) -> TileGeometry:
    """Strides and halo of some layers of a VGG of any depth.

    A convolution of 3 x 3 reaches one cell further. A pooling reaches nowhere, because tiles begin
    where its windows do.

    Raises:
        JobError: a layer does not exist, or features are not a matter of a neighbourhood: the
            network is none of the VGGs, or its activations are smoothed.
    """
    check_layers(layers, encoder.layer_names)
    if encoder.smoothing != "none":
        raise JobError(f"tiles: smoothing {encoder.smoothing} needs the whole picture: use none")
    strides: dict[str, int] = {}
    reaches: dict[str, int] = {}
    stride, reach = 1, 0
    for name, stage in encoder.stages.items():
        if isinstance(stage, ConvolutionAndReLU):
            reach += stride
        elif isinstance(stage, nn.MaxPool2d | nn.AvgPool2d):
            stride *= 2
        else:
            raise JobError(f"tiles are for {' and '.join(CONVOLUTIONS_PER_BLOCK)} only")
        strides[name], reaches[name] = stride, reach
    furthest = max(reaches[name] for name in layers)
    halo_px = -(-furthest // ALIGNMENT_PX) * ALIGNMENT_PX
    return TileGeometry({name: strides[name] for name in layers}, halo_px)
