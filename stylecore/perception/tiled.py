"""The objective and its targets by tiles, for pictures whose activations do not fit in memory.

One pass over the tiles, which keeps no activations, averages what the losses are functions of;
differentiating the losses gives their slope in each average; and a second pass, with gradients,
gives each tile's part of the picture's gradient. The result is that of ``Objective`` but for
rounding, in the memory of one tile, at the cost of a second forward pass and of the halos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from stylecore.images.tensors import pad_to_minimum
from stylecore.images.tiling import drop_halo, plan_tiles, take_core, take_tile
from stylecore.perception.averages import Averages
from stylecore.perception.encoder import Encoder
from stylecore.perception.objective import Measured, Objective
from stylecore.perception.reach import find_geometry
from stylecore.perception.targets import (
    ContentTarget,
    Painting,
    Region,
    RegionTarget,
    StyleTarget,
    make_guides,
    make_region_target,
)
from stylecore.types import FeatureMap, GramMatrix, ImageBatch


@dataclass(frozen=True, eq=False)
class TiledObjective(Objective):
    """What ``Objective`` computes, but for rounding, in the memory of one tile.

    A gradient can be taken once, not differentiated again. Calling it raises JobError if the
    encoder's features cannot be had by tiles.

    Attributes:
        core_px: longest side of what a tile is responsible for; a multiple of 16. What it sees
            around that (``find_geometry``) is 64 px wide with the default layers.
    """

    core_px: int = field(kw_only=True)

    def _measure(self, images: ImageBatch) -> Measured:
        style = self.style
        guides = [region.guides for region in style.regions]
        averages = Averages(
            self.encoder, style.layers, guides, style.is_centred, self.content.features
        )
        means = averages.over_tiles(images, self.core_px)
        contents = {name: means["content", 0, name] for name in self.content.features}
        grams = [
            {name: averages.gram(means, region, name) for name in style.layers}
            for region in range(len(guides))
        ]
        return Measured(contents, grams)


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
        JobError: a layer does not exist, or the features cannot be had by tiles.
    """
    geometry = find_geometry(encoder, layers)
    contents = pad_to_minimum(contents, encoder.minimum_side_px)
    height, width = contents.shape[-2:]
    targets: dict[str, FeatureMap] = {}
    for tile in plan_tiles(height, width, core_px, geometry.halo_px):
        for name, features in encoder(take_tile(contents, tile), layers).items():
            stride = geometry.strides[name]
            core = drop_halo(features, tile, stride)
            if name not in targets:
                shape = (*core.shape[:2], height // stride, width // stride)
                targets[name] = core.new_empty(shape)
            take_core(targets[name], tile, stride).copy_(core)
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
        JobError: a layer does not exist, the features cannot be had by tiles, or a painting's mask
            is empty or of another size.
    """
    # Without layers it measures nothing, but refuses masks that do not fit.
    blank = make_region_target(encoder, regions, [], is_centred)
    targets: list[RegionTarget] = []
    for region, target in zip(regions, blank.regions, strict=True):
        grams: dict[str, GramMatrix] = {}
        total_weight = sum(painting.weight for painting in region.paintings)
        for painting in region.paintings:
            measured = _measure_painting(encoder, painting, layers, core_px, is_centred)
            for name, gram in measured.items():
                share = gram * (painting.weight / total_weight)
                grams[name] = grams[name] + share if name in grams else share
        targets.append(replace(target, grams=grams))
    return replace(blank, regions=tuple(targets))


def _measure_painting(
    encoder: Encoder, painting: Painting, layers: Sequence[str], core_px: int, is_centred: bool
) -> Mapping[str, GramMatrix]:
    guides = {} if painting.mask is None else make_guides(encoder, painting.mask, layers)
    averages = Averages(encoder, layers, [guides], is_centred, {})
    means = averages.over_tiles(painting.image, core_px)
    return {name: averages.gram(means, 0, name) for name in layers}
