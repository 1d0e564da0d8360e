"""The statistics that a picture should reach, computed once and kept.

A style's are computed once per style and size, never per image; where in a picture each region of
it goes is said afterwards, by the masks of that picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from stylecore.errors import JobError
from stylecore.images.tensors import pad_to_minimum
from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import gram_matrix
from stylecore.types import FeatureMap, GramMatrix, ImageBatch, Mask


@dataclass(frozen=True, eq=False)
class ContentTarget:
    """What the photographs of a batch look like to the network.

    Attributes:
        features: layer name to activations, shape (b, c, h, w).
    """

    features: Mapping[str, FeatureMap]

    def select(self, indices: Tensor) -> ContentTarget:
        """The part of the batch at ``indices`` (integers, shape (n,)), in that order."""
        return ContentTarget({name: features[indices] for name, features in self.features.items()})


@dataclass(frozen=True, eq=False)
class Painting:
    """A painting that a region takes its style from.

    Attributes:
        image: shape (1, 3, h, w) of any size.
        weight: only its ratio to the weights of the region's other paintings matters.
        mask: the part of it that counts, shape (1, 1, h, w); None is all of it.
    """

    image: ImageBatch
    weight: float = 1.0
    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the picture that takes its own style.

    Attributes:
        paintings: at least one; several are blended.
        weight: how much the region's style loss counts.
    """

    paintings: Sequence[Painting]
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """What the style of one region looks like to the network.

    Attributes:
        grams: layer name to Gram matrix, shape (1, c, c).
        weight: how much its loss counts.
        guides: layer name to the region's place in each picture, at the size of that layer, shape
            (b, 1, h, w), or (1, 1, h, w) for all pictures alike; empty: it is everywhere.
    """

    grams: Mapping[str, GramMatrix]
    weight: float = 1.0
    guides: Mapping[str, Mask] = field(default_factory=dict)

    def select(self, indices: Tensor) -> RegionTarget:
        """The part of the batch at ``indices`` (integers, shape (n,)), in that order."""
        chosen = {
            name: guide if len(guide) == 1 else guide[indices]
            for name, guide in self.guides.items()
        }
        return replace(self, guides=chosen)


@dataclass(frozen=True, eq=False)
class StyleTarget:
    """What a style looks like to the network.

    Attributes:
        regions: at least one; all have the same layers.
        is_centred: whether the Gram matrices are covariances.
    """

    regions: tuple[RegionTarget, ...]
    is_centred: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the style layers."""
        return tuple(self.regions[0].grams)

    def select(self, indices: Tensor) -> StyleTarget:
        """The part of the batch at ``indices`` (integers, shape (n,)), in that order."""
        return replace(self, regions=tuple(region.select(indices) for region in self.regions))


@torch.no_grad()
def make_content_target(
    encoder: Encoder, contents: ImageBatch, layers: Sequence[str]
) -> ContentTarget:
    """Statistics of photographs.

    Args:
        encoder: on the device of the images.
        contents: shape (b, 3, h, w), the size of the pictures to make.
        layers: content layers.

    Raises:
        JobError: a layer does not exist.
    """
    return ContentTarget(encoder(contents, layers))


@torch.no_grad()
def make_region_target(
    encoder: Encoder, regions: Sequence[Region], layers: Sequence[str], is_centred: bool = False
) -> StyleTarget:
    """Statistics of the style of every region; ``place_regions`` says where they go.

    A blend is the weighted mean of the Gram matrices: it has the same minimiser as the weighted
    sum of the losses to each, since both are quadratic in the picture's Gram matrix, and costs no
    more than one style.

    Args:
        encoder: on the device of the images.
        regions: at least one.
        layers: style layers.
        is_centred: whether to compare covariances instead of Gram matrices.

    Raises:
        JobError: a layer does not exist, or a painting's mask is empty or of another size.
    """
    targets = [
        RegionTarget(_blend(encoder, region.paintings, layers, is_centred), region.weight)
        for region in regions
    ]
    return StyleTarget(tuple(targets), is_centred)


def place_regions(
    encoder: Encoder, target: StyleTarget, masks: Sequence[Mask | None]
) -> StyleTarget:
    """Say where in the pictures each region is.

    Args:
        encoder: the one of the target.
        target: from ``make_region_target``.
        masks: one a region, each of the (padded) size of the pictures: shape (b, 1, h, w), or
            (1, 1, h, w) for all pictures of a batch alike; None is everywhere. They need not add
            up to one: where none is, only the content counts.

    Returns:
        A target that shares the statistics of the given one.
    """
    placed = [
        replace(region, guides={} if mask is None else make_guides(encoder, mask, target.layers))
        for region, mask in zip(target.regions, masks, strict=True)
    ]
    return replace(target, regions=tuple(placed))


def make_guides(encoder: Encoder, mask: Mask, layers: Sequence[str]) -> dict[str, Mask]:
    """A mask at the size of each layer: a pixel there is the mean of the pixels that it stands for.

    Args:
        encoder: decides the sizes.
        mask: in [0, 1], shape (b, 1, h, w), the size of the images.
        layers: names.
    """
    mask = pad_to_minimum(mask, encoder.minimum_side_px)  # as the encoder does with the images
    height, width = mask.shape[-2:]
    return {
        name: functional.adaptive_avg_pool2d(mask, size)
        for name, size in encoder.layer_sizes(height, width, layers).items()
    }


def _blend(
    encoder: Encoder, paintings: Sequence[Painting], layers: Sequence[str], is_centred: bool
) -> dict[str, GramMatrix]:
    total_weight = sum(painting.weight for painting in paintings)
    blend: dict[str, GramMatrix] = {}
    for painting in paintings:
        guides = _guides_of(encoder, painting, layers)
        for name, features in encoder(painting.image, layers).items():
            gram = gram_matrix(features, guides.get(name), is_centred)
            share = gram * (painting.weight / total_weight)
            blend[name] = blend[name] + share if name in blend else share
    return blend


def _guides_of(encoder: Encoder, painting: Painting, layers: Sequence[str]) -> dict[str, Mask]:
    mask = painting.mask
    if mask is None:
        return {}
    (mask_height, mask_width), (height, width) = mask.shape[-2:], painting.image.shape[-2:]
    if (mask_height, mask_width) != (height, width):
        raise JobError(
            f"the mask of a painting is {mask_width} x {mask_height} px and the painting "
            f"{width} x {height} px: make them the same size"
        )
    if not mask.any():
        raise JobError("the mask of a painting is black all over: nothing of it is left")
    return make_guides(encoder, mask, layers)
