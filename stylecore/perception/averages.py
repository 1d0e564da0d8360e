"""Averages over pictures that are too large for the network, tile by tile.

Every loss is a function of means over the picture: of products of channels, of channels, of
squared differences. Such a mean is that of the tiles' cores, weighted by their shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from stylecore.images.tensors import pad_to_minimum
from stylecore.images.tiling import Tile, add_tile, drop_halo, plan_tiles, take_core, take_tile
from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import content_loss, gram_matrix
from stylecore.perception.reach import TileGeometry, find_geometry
from stylecore.types import FeatureMap, GramMatrix, ImageBatch, Mask

# As in ``gram_matrix``: a mask that is zero everywhere must not divide by zero.
_LEAST_ENERGY = 1e-12

# What is averaged, over which region (content: 0, it knows none), at which layer.
Key = tuple[Literal["content", "gram", "mean"], int, str]
Means = dict[Key, Tensor]


@dataclass(frozen=True, eq=False)
class Averages:
    """What to average over pictures.

    Attributes:
        encoder: on the device of the pictures.
        style_layers: layers of Gram matrices.
        guides: of each region, by layer; empty where the region is everywhere.
        is_centred: whether the Gram matrices are covariances.
        contents: by layer, the features to which squared differences are taken.
    """

    encoder: Encoder
    style_layers: Sequence[str]
    guides: Sequence[Mapping[str, Mask]]
    is_centred: bool
    contents: Mapping[str, FeatureMap]

    @cached_property
    def keys(self) -> list[Key]:
        """Of all averages."""
        keys: list[Key] = [("content", 0, name) for name in self.contents]
        for region in range(len(self.guides)):
            for name in self.style_layers:
                keys.append(("gram", region, name))
                if self.is_centred:
                    keys.append(("mean", region, name))
        return keys

    def over_tiles(self, images: ImageBatch, core_px: int) -> Means:
        """Averages over pictures of shape (b, 3, h, w), which can be differentiated once.

        Raises:
            JobError: the encoder's features cannot be had by tiles.
        """
        images = pad_to_minimum(images, self.encoder.minimum_side_px)
        height, width = images.shape[-2:]
        tiles = plan_tiles(height, width, core_px, self._geometry.halo_px)
        means: tuple[Tensor, ...] = _SumOverTiles.apply(images, self, tiles)
        return dict(zip(self.keys, means, strict=True))

    def gram(self, means: Means, region: int, layer: str) -> GramMatrix:
        """Of the whole picture, or its covariance, scaled as by ``gram_matrix``."""
        gram = means["gram", region, layer]
        if not self.is_centred:
            return gram
        mean = means["mean", region, layer]
        return gram - mean @ mean.mT / mean.shape[1]

    def of_core(self, seen: ImageBatch, tile: Tile, whole: tuple[int, int]) -> Means:
        """What a tile's core adds to the averages over pictures of size ``whole``: height, width.

        A core at the end of a picture can be less than a cell of a layer, and adds nothing there.
        """
        features = self.encoder(seen, self._layers)
        means: Means = {}
        for key in self.keys:
            stride = self._geometry.strides[key[2]]
            core = drop_halo(features[key[2]], tile, stride)
            if core.numel() > 0:
                num_cells = (whole[0] // stride) * (whole[1] // stride)
                means[key] = self._part(key, core, tile, core[0, 0].numel() / num_cells)
        return means

    def _part(self, key: Key, core: FeatureMap, tile: Tile, share: float) -> Tensor:
        kind, region, name = key
        stride = self._geometry.strides[name]
        if kind == "content":
            return share * content_loss(core, take_core(self.contents[name], tile, stride))
        measure = gram_matrix if kind == "gram" else _mean
        guide = self.guides[region].get(name)
        if guide is None:
            return share * measure(core)
        core_guide = take_core(guide, tile, stride)
        guided_share = _energy(core_guide) / _energy(guide).clamp_min(_LEAST_ENERGY)
        return guided_share * measure(core, core_guide)

    @cached_property
    def _layers(self) -> list[str]:
        return [*self.contents, *self.style_layers]

    @cached_property
    def _geometry(self) -> TileGeometry:
        return find_geometry(self.encoder, self._layers)


class _SumOverTiles(Function):
    """The sum of what the cores add, in the memory of one tile.

    Nothing of a tile is kept: its part of the gradient is found by measuring it once more.
    """

    @staticmethod
    def forward(
        ctx: Any, images: ImageBatch, averages: Averages, tiles: Sequence[Tile]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(images)
        ctx.averages, ctx.tiles = averages, tiles
        rows, columns = images.shape[-2:]
        sums: Means = {}
        for tile in tiles:
            for key, part in averages.of_core(
                take_tile(images, tile), tile, (rows, columns)
            ).items():
                sums[key] = sums[key] + part if key in sums else part
        return tuple(sums[key] for key in averages.keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[ImageBatch, None, None]:
        (images,) = ctx.saved_tensors
        slope_of = dict(zip(ctx.averages.keys, slopes, strict=True))
        height, width = images.shape[-2:]
        gradient = torch.zeros_like(images)
        for tile in ctx.tiles:
            seen = take_tile(images, tile).detach().requires_grad_()
            with torch.enable_grad():
                parts = ctx.averages.of_core(seen, tile, (height, width))
            if parts:
                part_slopes = [slope_of[key] for key in parts]
                (part,) = torch.autograd.grad(list(parts.values()), seen, part_slopes)
                add_tile(gradient, tile, part)
        return gradient, None, None


def _energy(guide: Mask) -> Tensor:
    """Sum of squares of each mask, shape (b, 1, 1)."""
    return guide.square().sum(dim=(2, 3))[..., None]


def _mean(features: FeatureMap, guide: Mask | None = None) -> Tensor:
    """Mean of each channel, weighted by the guide's squares as ``gram_matrix`` is: (b, c, 1)."""
    flat = features.flatten(start_dim=2)
    if guide is None:
        return flat.mean(dim=-1, keepdim=True)
    weights = guide.square().flatten(start_dim=2)
    return flat @ weights.mT / _energy(guide).clamp_min(_LEAST_ENERGY)
