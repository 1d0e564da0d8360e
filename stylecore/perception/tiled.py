"""The objective and its targets by tiles, for pictures whose activations do not fit in memory.

Every loss is a function of means over the picture (of products of channels, of channels, of squared
differences), and such a mean is that of the tiles' cores, weighted by their shares. So one pass
over the tiles, which keeps no activations, gives the means; differentiating the losses gives their
slope in each mean; and a second pass, with gradients, gives each tile's part of the picture's
gradient. The result is that of ``Objective`` but for rounding, in the memory of one tile, at the
cost of a second forward pass and of the halos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from stylecore.images.tensors import pad_to_minimum
from stylecore.images.tiling import Tile, add_tile, drop_halo, plan_tiles, take_core, take_tile
from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import content_loss, gram_matrix, style_loss, total_variation
from stylecore.perception.objective import Objective, ObjectiveValue
from stylecore.perception.reach import TileGeometry, find_geometry
from stylecore.perception.targets import (
    ContentTarget,
    Painting,
    Region,
    StyleTarget,
    make_guides,
    make_region_target,
)
from stylecore.types import FeatureMap, GramMatrix, ImageBatch, Mask, PerImage

# As in ``gram_matrix``: a mask that is zero everywhere must not divide by zero.
_LEAST_ENERGY = 1e-12

# What is averaged, over which region (content: 0, there are none), at which layer.
_Key = tuple[Literal["content", "gram", "mean"], int, str]
_Means = dict[_Key, Tensor]


@dataclass(frozen=True, eq=False)
class TiledObjective(Objective):
    """What ``Objective`` computes, but for rounding, in the memory of one tile.

    Without a gradient it takes one pass over the tiles, with one two and a half.

    Attributes:
        core_px: longest side of what a tile is responsible for; a multiple of 16. What it sees
            around that (``find_geometry``) is 64 px wide with the default layers.
    """

    core_px: int = field(kw_only=True)

    def __call__(self, images: ImageBatch) -> ObjectiveValue:
        """As ``Objective``.

        Raises:
            JobError: the encoder's features cannot be had by tiles.
        """
        content, style = self._perceptual_losses(images)
        tv = total_variation(images)
        weights = self.weights
        total = weights.content * content + weights.style * style + weights.tv * tv
        return ObjectiveValue(total, content, style, tv)

    def _perceptual_losses(self, images: ImageBatch) -> tuple[PerImage, PerImage]:
        regions = self.style.regions
        averages = _Averages(
            self.encoder,
            self.style.layers,
            tuple(region.guides for region in regions),
            self.style.is_centred,
            self.content.features,
        )
        means = averages.over_tiles(images, self.core_px)
        content_weights, style_weights = self.weights.content_layers, self.weights.style_layers
        content = [
            content_weights.get(name, 1.0) * means["content", 0, name]
            for name in self.content.features
        ]
        style = [
            region.weight
            * style_weights.get(name, 1.0)
            * _share_of_picture(region.guides.get(name))
            * style_loss(averages.gram(means, index, name), region.grams[name])
            for index, region in enumerate(regions)
            for name in self.style.layers
        ]
        return torch.stack(content).sum(dim=0), torch.stack(style).sum(dim=0)


@torch.no_grad()
def make_tiled_content_target(
    encoder: Encoder, contents: ImageBatch, layers: Sequence[str], core_px: int
) -> ContentTarget:
    """``make_content_target`` by tiles: only the target itself is as large as the pictures.

    Args:
        encoder: on the device of the images.
        contents: shape (b, 3, h, w), the size of the pictures to make.
        layers: content layers.
        core_px: as for ``TiledObjective``.

    Raises:
        JobError: a layer does not exist, or features cannot be had by tiles.
    """
    contents = pad_to_minimum(contents, encoder.minimum_side_px)
    geometry = find_geometry(encoder, layers)
    targets: dict[str, FeatureMap] = {}
    for tile in plan_tiles(*contents.shape[-2:], core_px, geometry.halo_px):
        for name, features in encoder(take_tile(contents, tile), layers).items():
            stride = geometry.strides[name]
            if name not in targets:
                targets[name] = _empty_map(features, contents, stride)
            take_core(targets[name], tile, stride).copy_(drop_halo(features, tile, stride))
    return ContentTarget(targets)


@torch.no_grad()
def make_tiled_region_target(
    encoder: Encoder,
    regions: Sequence[Region],
    layers: Sequence[str],
    core_px: int,
    is_centred: bool = False,
) -> StyleTarget:
    """``make_region_target`` by tiles, for large paintings.

    Args:
        encoder: on the device of the images.
        regions: at least one.
        layers: style layers.
        core_px: as for ``TiledObjective``.
        is_centred: whether to compare covariances instead of Gram matrices.

    Raises:
        JobError: a layer does not exist, features cannot be had by tiles, or a painting's mask is
            empty or of another size.
    """
    # Without layers it costs nothing and refuses masks that do not fit.
    blank = make_region_target(encoder, regions, [], is_centred)
    targets = [
        replace(target, grams=_blend(encoder, region.paintings, layers, core_px, is_centred))
        for target, region in zip(blank.regions, regions, strict=True)
    ]
    return replace(blank, regions=tuple(targets))


@dataclass(frozen=True, eq=False)
class _Averages:
    """What to average over pictures.

    Attributes:
        encoder: on the device of the pictures.
        style_layers: layers of Gram matrices, and of means where those are covariances.
        guides: for each region its guide at each layer, or nothing if it is everywhere.
        is_centred: whether the Gram matrices are covariances.
        contents: features that squared differences are taken from.
    """

    encoder: Encoder
    style_layers: Sequence[str]
    guides: Sequence[Mapping[str, Mask]]
    is_centred: bool
    contents: Mapping[str, FeatureMap]

    def over_tiles(self, images: ImageBatch, core_px: int) -> _Means:
        """Averages over pictures of shape (b, 3, h, w), differentiable once."""
        images = pad_to_minimum(images, self.encoder.minimum_side_px)
        tiles = plan_tiles(*images.shape[-2:], core_px, self._geometry.halo_px)
        means = cast(tuple[Tensor, ...], _MeansOverTiles.apply(images, self, tiles))
        return dict(zip(self.keys, means, strict=True))

    def gram(self, means: _Means, region: int, layer: str) -> GramMatrix:
        """The Gram matrix, or covariance, of the whole picture, as ``gram_matrix`` scales it."""
        gram = means["gram", region, layer]
        if not self.is_centred:
            return gram
        mean = means["mean", region, layer]
        return gram - mean @ mean.mT / mean.shape[1]

    @cached_property
    def keys(self) -> list[_Key]:
        """Of all averages."""
        kinds: tuple[Literal["gram", "mean"], ...] = (
            ("gram", "mean") if self.is_centred else ("gram",)
        )
        regions = range(len(self.guides))
        style: list[_Key] = [
            (kind, region, name)
            for kind in kinds
            for region in regions
            for name in self.style_layers
        ]
        return [*style, *(("content", 0, name) for name in self.contents)]

    def of_core(self, seen: ImageBatch, tile: Tile, size: tuple[int, int]) -> _Means:
        """What a tile's core adds to the averages over pictures of that ``size`` (h, w).

        Nothing at layers where the core, at the end of a picture, is less than a cell.
        """
        features = self.encoder(seen, self._layers)
        means: _Means = {}
        for key in self.keys:
            kind, region, name = key
            stride = self._geometry.strides[name]
            core = drop_halo(features[name], tile, stride)
            if core.numel() == 0:
                continue
            share: Tensor | float = core[0, 0].numel() / ((size[0] // stride) * (size[1] // stride))
            if kind == "content":
                means[key] = share * content_loss(core, take_core(self.contents[name], tile, stride))
                continue
            guide = self.guides[region].get(name)
            if guide is not None:
                core_guide = take_core(guide, tile, stride)
                share = _energy(core_guide) / _energy(guide).clamp_min(_LEAST_ENERGY)
            means[key] = 0
        return means
