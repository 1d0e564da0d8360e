"""What one photograph is optimized towards: content target, style target, and whose colors.

A style's statistics are measured once for each size and kept, unless the photograph's colors are to
be kept: then the paintings are recolored after it first (Gatys et al. 2016, "Preserving Color in
Neural Artistic Style Transfer", arXiv:1606.05897), and the statistics are of that photograph alone.
Where each painting of a style goes is said by the masks of each photograph (Gatys et al. 2017,
arXiv:1611.07865).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch

from stylecore.batch.estimate import PixelWork
from stylecore.errors import JobError
from stylecore.images.codec import GrayImage, RgbImage
from stylecore.images.color import (
    luminance_of,
    match_color_cholesky,
    match_histogram,
    with_color_of,
)
from stylecore.images.masks import resize_mask
from stylecore.images.resize import resize_style
from stylecore.images.tensors import pad_to_minimum, to_batch
from stylecore.images.tiling import ALIGNMENT_PX
from stylecore.perception.encoder import Encoder
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.reach import find_geometry
from stylecore.perception.targets import (
    Painting,
    Region,
    StyleTarget,
    make_content_target,
    make_region_target,
    place_regions,
)
from stylecore.perception.tiled import (
    TiledObjective,
    make_tiled_content_target,
    make_tiled_region_target,
)
from stylecore.settings import KeepColor, OptimizeSettings
from stylecore.stylizer.protocol import Content, StylePainting
from stylecore.stylizer.tiles import SMALLEST_CORE_PX, choose_core_px, free_memory_bytes
from stylecore.types import ImageBatch, Mask

_KEPT_SIZES: Final = 8
_LEAST_SHARE: Final = 1e-12  # keeps masks that are black all over from dividing by zero


@dataclass(frozen=True, eq=False)
class StyleAtSize:
    """A style at one size of the output.

    Attributes:
        paintings: with their weights.
        target: their statistics.
        masks: where each painting goes, shape (1, 1, h, w), in [0, 1]; empty: all are everywhere.
    """

    paintings: Sequence[tuple[ImageBatch, float]]
    target: StyleTarget
    masks: Sequence[Mask] = ()


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
        styles: paintings at full size.
        device: to work on.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: OptimizeSettings,
        styles: Sequence[StylePainting],
        device: torch.device,
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._styles = styles
        self._device = device
        self._largest_core_px: int | None = None  # once memory proved to be less than it seemed
        # Photographs of one bucket come in few sizes, mostly in one.
        self._style_at = lru_cache(_KEPT_SIZES)(self._measure_at)

    def core_px(self, content: Content) -> int | None:
        """Longest side of the tiles for a picture of that size; None: it goes through whole.

        Raises:
            OutOfMemoryError: it does not fit in memory even by tiles.
        """
        settings = self._settings
        if settings.tile_px is not None or not self._has_tiles():
            return settings.tile_px
        height_px, width_px = content.pixels.shape[:2]
        evaluations, num_masks = settings.num_evaluations or 1, len(content.masks)
        work = PixelWork(settings.encoder, height_px, width_px, evaluations, num_masks=num_masks)
        halo_px = find_geometry(self._encoder, settings.style_layers).halo_px
        core_px = choose_core_px(work, halo_px, free_memory_bytes(self._device))
        largest_px = self._largest_core_px
        if largest_px is None or max(height_px, width_px) <= largest_px:
            return core_px
        return largest_px if core_px is None else min(core_px, largest_px)

    def use_smaller_tiles(self, failed_px: int) -> bool:
        """From now on, tiles of half the size of what did not fit: a tile, or a whole picture.

        Args:
            failed_px: its longest side.

        Returns:
            Whether there are such tiles.
        """
        smaller_px = failed_px // 2 // ALIGNMENT_PX * ALIGNMENT_PX
        if self._settings.tile_px or not self._has_tiles() or smaller_px < SMALLEST_CORE_PX:
            return False
        self._largest_core_px = min(self._largest_core_px or smaller_px, smaller_px)
        return True

    def _has_tiles(self) -> bool:
        """Whether the network's features can be had by tiles."""
        settings = self._settings
        return settings.encoder in CONVOLUTIONS_PER_BLOCK and settings.smoothing == "none"

    def prepare(self, content: Content) -> Subject:
        """A photograph, at the size of the output, with what it is optimized towards.

        Raises:
            JobError: there are masks, but not one for each painting.
            OutOfMemoryError: it does not fit in memory even by tiles.
        """
        image, masks = content.pixels, self._masks(content)
        photograph = pad_to_minimum(to_batch([image]).to(self._device))
        is_gray = self._settings.keep_color == "luminance"
        seen = _gray(photograph) if is_gray else photograph
        core_px = self.core_px(content)
        at = _Measuring(max(image.shape[:2]), core_px, is_apart=len(masks) > 1)
        style = self._place(self._style_for(seen, at), masks)

        def finish(picture: ImageBatch) -> ImageBatch:
            return with_color_of(picture, photograph) if is_gray else picture

        return Subject(seen, style, self._objective(seen, style, core_px), finish)

    def _style_for(self, seen: ImageBatch, at: _Measuring) -> StyleAtSize:
        """The style as measured, or as it is once it has the colors of what is seen."""
        recolor = _RECOLOR.get(self._settings.keep_color)
        if recolor is None:
            return self._style_at(at)
        paintings = [
            replace(painting, image=recolor(painting.image, seen))
            for painting in self._paintings(at.longest_side_px)
        ]
        return self._measure(paintings, at)

    def _masks(self, content: Content) -> list[Mask]:
        if len(content.masks) not in (0, len(self._styles)):
            raise JobError(
                f"{len(content.masks)} masks for {len(self._styles)} paintings: give one for each, "
                "or none"
            )
        white = np.full(content.pixels.shape[:2], 255, np.uint8)
        return [self._to_mask(white if mask is None else mask) for mask in content.masks]

    def _to_mask(self, mask: GrayImage) -> Mask:
        values = torch.tensor(mask, device=self._device)[None, None]
        return pad_to_minimum(values.float().div_(255))

    def _place(self, style: StyleAtSize, masks: Sequence[Mask]) -> StyleAtSize:
        if not masks:
            return style
        balanced = _balance(masks, [region.weight for region in style.target.regions])
        target = place_regions(self._encoder, style.target, balanced)
        return replace(style, target=target, masks=masks)

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

    def _paintings(self, longest_side_px: int) -> list[Painting]:
        side_px = max(1, round(longest_side_px * self._settings.style_scale))
        return [self._resize(painting, side_px) for painting in self._styles]

    def _resize(self, painting: StylePainting, side_px: int) -> Painting:
        pixels = resize_style(painting.pixels, side_px)
        image = pad_to_minimum(to_batch([pixels]).to(self._device))
        mask = painting.mask
        placed = None if mask is None else self._to_mask(_shrink_mask(mask, pixels))
        return Painting(image, painting.weight, placed)

    def _measure_at(self, at: _Measuring) -> StyleAtSize:
        return self._measure(self._paintings(at.longest_side_px), at)

    def _measure(self, paintings: Sequence[Painting], at: _Measuring) -> StyleAtSize:
        is_centred = self._settings.statistics == "covariance"
        layers = self._settings.style_layers
        regions = _shares(paintings) if at.is_apart else [Region(paintings)]
        if at.core_px is None:
            target = make_region_target(self._encoder, regions, layers, is_centred)
        else:
            target = make_tiled_region_target(
                self._encoder, regions, layers, at.core_px, is_centred
            )
        return StyleAtSize([(painting.image, painting.weight) for painting in paintings], target)


_RECOLOR: Final[Mapping[KeepColor, Callable[[ImageBatch, ImageBatch], ImageBatch]]] = {
    "luminance": lambda painting, gray: match_histogram(_gray(painting), gray),
    "histogram": match_histogram,
    "cholesky": match_color_cholesky,
}


@dataclass(frozen=True)
class _Measuring:
    """How a style is measured: at which size, by which tiles, each painting for itself or not."""

    longest_side_px: int
    core_px: int | None
    is_apart: bool


def _shares(paintings: Sequence[Painting]) -> list[Region]:
    """Each painting as a region of its own; their weights as shares of one."""
    total = sum(painting.weight for painting in paintings)
    return [Region([painting], painting.weight / total) for painting in paintings]


def _balance(masks: Sequence[Mask], shares: Sequence[float]) -> list[Mask]:
    """Masks on a scale at which a pixel takes as much style as without any, on average.

    A guided Gram matrix does not depend on its guide's scale, and its loss is multiplied by the
    guide's mean square (``Objective``). So this undoes that each of several styles side by side
    has but a share of the weight, and leaves it where they lie over each other: white masks all
    over make what a blend does.
    """
    energies = torch.cat(list(masks)).square()
    counted = sum(share * energy.mean() for share, energy in zip(shares, energies, strict=True))
    scale = (energies.amax(dim=0).mean() / torch.as_tensor(counted).clamp(min=_LEAST_SHARE)).sqrt()
    return [mask * scale for mask in masks]


def _gray(images: ImageBatch) -> ImageBatch:
    return luminance_of(images).expand_as(images)


def _shrink_mask(mask: GrayImage, like: RgbImage) -> GrayImage:
    """A painting's mask at another size; the smallest part of it does not vanish by rounding."""
    resized = resize_mask(mask, like)
    if not resized.any():
        row, column = divmod(int(mask.argmax()), mask.shape[1])
        place = (row * like.shape[0] // mask.shape[0], column * like.shape[1] // mask.shape[1])
        resized = resized.copy()
        resized[place] = mask.max()
    return resized
