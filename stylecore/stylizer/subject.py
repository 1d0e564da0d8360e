"""What one photograph is optimized towards: content target, style target, and whose colors.

A style's statistics are measured once for each size and kept, unless the photograph's colors are to
be kept: then the paintings are recolored after it first (Gatys et al. 2016, "Preserving Color in
Neural Artistic Style Transfer", arXiv:1606.05897), and the statistics are of that photograph alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch

from stylecore.batch.estimate import PixelWork
from stylecore.images.codec import RgbImage
from stylecore.images.color import (
    luminance_of,
    match_color_cholesky,
    match_histogram,
    with_color_of,
)
from stylecore.images.resize import resize_style
from stylecore.images.tensors import pad_to_minimum, to_batch
from stylecore.perception.encoder import Encoder
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.reach import find_geometry
from stylecore.perception.targets import (
    Painting,
    Region,
    StyleTarget,
    make_content_target,
    make_style_target,
)
from stylecore.perception.tiled import (
    TiledObjective,
    make_tiled_content_target,
    make_tiled_region_target,
)
from stylecore.settings import KeepColor, OptimizeSettings
from stylecore.stylizer.tiles import choose_core_px, free_memory_bytes
from stylecore.types import ImageBatch

_KEPT_SIZES: Final = 4
Paintings = Sequence[tuple[ImageBatch, float]]


@dataclass(frozen=True, eq=False)
class StyleAtSize:
    """A style at one size of the output: its paintings and their statistics."""

    paintings: Paintings
    target: StyleTarget


@dataclass(frozen=True, eq=False)
class Subject:
    """A photograph, shape (1, 3, h, w) of at least 16 px a side, and the style it is to take."""

    photograph: ImageBatch
    style: StyleAtSize
    objective: Objective
    finish: Callable[[ImageBatch], ImageBatch]


class Studio:
    """Prepares photographs for one style.

    Args:
        encoder: on the device to work on.
        settings: layers, weights, style scale and whose colors.
        styles: paintings at full size with their weights.
        device: to work on.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: OptimizeSettings,
        styles: Sequence[tuple[RgbImage, float]],
        device: torch.device,
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._styles = styles
        self._device = device
        # Photographs of one bucket come in few sizes, mostly in one.
        self._style_at = lru_cache(_KEPT_SIZES)(self._measure_at)

    def core_px(self, image: RgbImage) -> int | None:
        """Longest side of the tiles for a picture of that size; None: it goes through whole.

        Raises:
            OutOfMemoryError: it does not fit in memory even by tiles.
        """
        settings = self._settings
        has_tiles = settings.encoder in CONVOLUTIONS_PER_BLOCK and settings.smoothing == "none"
        if settings.tile_px is not None or not has_tiles:
            return settings.tile_px
        height_px, width_px = image.shape[:2]
        work = PixelWork(settings.encoder, height_px, width_px, settings.num_evaluations or 1)
        halo_px = find_geometry(self._encoder, settings.style_layers).halo_px
        return choose_core_px(work, halo_px, free_memory_bytes(self._device))

    def prepare(self, image: RgbImage) -> Subject:
        """A photograph, at the size of the output, with what it is optimized towards.

        Raises:
            OutOfMemoryError: it does not fit in memory even by tiles.
        """
        photograph = pad_to_minimum(to_batch([image]).to(self._device))
        longest_side_px, core_px = max(image.shape[:2]), self.core_px(image)
        if self._settings.keep_color == "luminance":
            return self._prepare_gray(photograph, longest_side_px, core_px)
        recolor = _RECOLOR.get(self._settings.keep_color)
        if recolor is None:
            style = self._style_at(longest_side_px, core_px)
        else:
            paintings = self._paintings(longest_side_px)
            recolored = [(recolor(image, photograph), weight) for image, weight in paintings]
            style = self._measure(recolored, core_px)
        return Subject(photograph, style, self._objective(photograph, style, core_px), _as_it_is)

    def _prepare_gray(
        self, photograph: ImageBatch, longest_side_px: int, core_px: int | None
    ) -> Subject:
        """Only the luminance takes the style; the color comes back at the end."""
        gray = _gray(photograph)
        paintings = [
            (match_histogram(_gray(image), gray), weight)
            for image, weight in self._paintings(longest_side_px)
        ]
        style = self._measure(paintings, core_px)

        def finish(picture: ImageBatch) -> ImageBatch:
            return with_color_of(picture, photograph)

        return Subject(gray, style, self._objective(gray, style, core_px), finish)

    def view(self, picture: ImageBatch) -> ImageBatch:
        """What of a picture its objective looks at: all of it, or its luminance."""
        return _gray(picture) if self._settings.keep_color == "luminance" else picture

    def _objective(
        self, photograph: ImageBatch, style: StyleAtSize, core_px: int | None
    ) -> Objective:
        settings, encoder = self._settings, self._encoder
        weights = LossWeights(
            settings.content_weight,
            settings.style_weight,
            settings.tv_weight,
            settings.content_layer_weights,
            settings.style_layer_weights,
        )
        layers = settings.content_layers
        if core_px is None:
            content = make_content_target(encoder, photograph, layers)
            return Objective(encoder, content, style.target, weights)
        content = make_tiled_content_target(encoder, photograph, layers, core_px)
        return TiledObjective(encoder, content, style.target, weights, core_px=core_px)

    def _paintings(self, longest_side_px: int) -> Paintings:
        side_px = max(1, round(longest_side_px * self._settings.style_scale))
        return [
            (pad_to_minimum(to_batch([resize_style(image, side_px)]).to(self._device)), weight)
            for image, weight in self._styles
        ]

    def _measure_at(self, longest_side_px: int, core_px: int | None) -> StyleAtSize:
        return self._measure(self._paintings(longest_side_px), core_px)

    def _measure(self, paintings: Paintings, core_px: int | None) -> StyleAtSize:
        is_centred = self._settings.statistics == "covariance"
        layers = self._settings.style_layers
        if core_px is None:
            target = make_style_target(self._encoder, paintings, layers, is_centred)
        else:
            region = Region([Painting(image, weight) for image, weight in paintings])
            target = make_tiled_region_target(self._encoder, [region], layers, core_px, is_centred)
        return StyleAtSize(paintings, target)


_RECOLOR: Final[Mapping[KeepColor, Callable[[ImageBatch, ImageBatch], ImageBatch]]] = {
    "histogram": match_histogram,
    "cholesky": match_color_cholesky,
}


def _gray(images: ImageBatch) -> ImageBatch:
    return luminance_of(images).expand_as(images)


def _as_it_is(picture: ImageBatch) -> ImageBatch:
    return picture
