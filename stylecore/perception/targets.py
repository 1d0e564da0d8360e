"""The statistics that a picture should reach, computed once and kept.

A style's are computed once per style and size, never per image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import gram_matrix
from stylecore.types import FeatureMap, GramMatrix, ImageBatch


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
class StyleTarget:
    """What a style looks like to the network, wherever in the picture.

    Attributes:
        grams: layer name to Gram matrix, shape (1, c, c).
    """

    grams: Mapping[str, GramMatrix]


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
def make_style_target(
    encoder: Encoder, styles: Sequence[tuple[ImageBatch, float]], layers: Sequence[str]
) -> StyleTarget:
    """Statistics of one style, or of a blend of several.

    A blend is the weighted mean of the Gram matrices: it has the same minimiser as the weighted
    sum of the losses to each, since both are quadratic in the picture's Gram matrix, and costs no
    more than one style.

    Args:
        encoder: on the device of the images.
        styles: one or more pairs of a painting, shape (1, 3, h, w) of any size, and its weight;
            only the ratios of the weights matter.
        layers: style layers.

    Raises:
        JobError: a layer does not exist.
    """
    total_weight = sum(weight for _, weight in styles)
    blend: dict[str, GramMatrix] = {}
    for image, weight in styles:
        for name, features in encoder(image, layers).items():
            share = gram_matrix(features) * (weight / total_weight)
            blend[name] = blend[name] + share if name in blend else share
    return StyleTarget(blend)
