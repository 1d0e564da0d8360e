"""Pictures in tiles: what part each is responsible for, and what it has to see around that.

The cores of the tiles cover a picture exactly, without overlap; each is read with a halo, the
pixels around it that its features depend on. All inner edges lie on multiples of ``ALIGNMENT_PX``,
so that a network that halves its input up to four times pools the same pixels together in a tile
as in the whole picture: with a halo as wide as the features reach, those of the cores are the
picture's. A sum over the picture, such as a Gram matrix, is then a sum over the cores, and the
picture's gradient a sum of what each core gives to its tile, the halo included (``add_tile``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stylecore.types import FeatureMap, ImageBatch

ALIGNMENT_PX: Final = 16  # VGG halves four times up to its last style layer


@dataclass(frozen=True, slots=True)
class Span:
    """A part of one side of a picture, in pixels.

    Attributes:
        start: first pixel to read; a multiple of ``ALIGNMENT_PX``.
        stop: behind the last pixel to read.
        core_start: first pixel of the core; a multiple of ``ALIGNMENT_PX``.
        core_stop: behind its last pixel.
    """

    start: int
    stop: int
    core_start: int
    core_stop: int

    def core_cells(self, stride: int) -> slice:
        """The core in a feature map of the whole picture, with a cell for every ``stride`` pixels.

        Cells that pooling drops at the end of a picture belong to nobody.
        """
        return slice(self.core_start // stride, self.core_stop // stride)


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture, as the rows and the columns it spans."""

    rows: Span
    columns: Span


def plan_tiles(height: int, width: int, core_px: int, halo_px: int) -> list[Tile]:
    """Tiles whose cores cover a picture exactly, as equal in size as the alignment lets them be.

    Args:
        height: of the picture, at least 1.
        width: of the picture, at least 1.
        core_px: longest side of a core; a multiple of ``ALIGNMENT_PX``.
        halo_px: what a tile sees beyond its core; a positive multiple of ``ALIGNMENT_PX``.

    Returns:
        Tiles row by row; one, if the picture is no larger than a core.

    Raises:
        ValueError: a size is not a positive multiple of the alignment.
    """
    for name, size in (("core_px", core_px), ("halo_px", halo_px)):
        if size < ALIGNMENT_PX or size % ALIGNMENT_PX:
            raise ValueError(f"{name} {size}: must be a positive multiple of {ALIGNMENT_PX}")
    rows = _plan_spans(height, core_px, halo_px)
    columns = _plan_spans(width, core_px, halo_px)
    return [Tile(row, column) for row in rows for column in columns]


def take_tile(images: ImageBatch, tile: Tile) -> ImageBatch:
    """A view of the pixels that a tile reads, its halo included."""
    return images[..., _pixels(tile.rows), _pixels(tile.columns)]


def add_tile(images: ImageBatch, tile: Tile, values: ImageBatch) -> None:
    """Add to the pixels that a tile reads, in place."""
    images[..., _pixels(tile.rows), _pixels(tile.columns)] += values


def take_core(features: FeatureMap, tile: Tile, stride: int) -> FeatureMap:
    """A view of the core's cells in a feature map of the whole picture.

    Args:
        features: shape (b, c, h, w).
        tile: the tile.
        stride: pixels a cell: a power of 2 up to ``ALIGNMENT_PX``.
    """
    return features[..., tile.rows.core_cells(stride), tile.columns.core_cells(stride)]


def drop_halo(features: FeatureMap, tile: Tile, stride: int) -> FeatureMap:
    """A view of the core's cells in a feature map of a tile, that is, of what ``take_tile`` gives.

    Args:
        features: shape (b, c, h, w).
        tile: the tile.
        stride: as for ``take_core``.
    """
    rows, columns = tile.rows, tile.columns
    above, left = rows.start // stride, columns.start // stride
    down, across = rows.core_cells(stride), columns.core_cells(stride)
    return features[
        ..., down.start - above : down.stop - above, across.start - left : across.stop - left
    ]


def _plan_spans(side_px: int, core_px: int, halo_px: int) -> list[Span]:
    num_units = -(-side_px // ALIGNMENT_PX)
    num_spans = -(-num_units // (core_px // ALIGNMENT_PX))
    edges = [num_units * i // num_spans * ALIGNMENT_PX for i in range(num_spans)] + [side_px]
    return [
        Span(max(0, start - halo_px), min(side_px, stop + halo_px), start, stop)
        for start, stop in zip(edges, edges[1:], strict=False)
    ]


def _pixels(span: Span) -> slice:
    return slice(span.start, span.stop)
