"""The objective: how far pictures are from their contents and from a style, one value a picture.

With the default settings it is the reference objective that every comparison uses: mean squared
difference at relu4_2, plus 1e6 times that of the Gram matrices at relu1_1 to relu5_1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import content_loss, gram_matrix, style_loss, total_variation
from stylecore.perception.targets import ContentTarget, RegionTarget, StyleTarget
from stylecore.types import GramMatrix, ImageBatch, PerImage


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts in the total.

    Attributes:
        content: of the content loss.
        style: of the style loss.
        tv: of the total variation.
        content_layers: within the content loss, by layer; 1 where nothing is said.
        style_layers: within the style loss, by layer; 1 where nothing is said.
    """

    content: float = 1.0
    style: float = 1e6
    tv: float = 0.0
    content_layers: Mapping[str, float] = field(default_factory=dict)
    style_layers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ObjectiveValue:
    """Losses of every picture of a batch, each of shape (b,).

    Attributes:
        total: the weighted sum of the others.
        content: summed over content layers with the weights of the layers, not with its own.
        style: likewise over style layers and regions.
        tv: total variation, not weighted.
    """

    total: PerImage
    content: PerImage
    style: PerImage
    tv: PerImage


@dataclass(frozen=True, eq=False)
class Measured:
    """What the losses of pictures are made of, before anything is weighted.

    Attributes:
        contents: content layer to content loss, shape (b,).
        grams: of each region, style layer to Gram matrix, shape (b, c, c).
    """

    contents: Mapping[str, PerImage]
    grams: Sequence[Mapping[str, GramMatrix]]


@dataclass(frozen=True, eq=False)
class Objective:
    """What a batch of pictures should come close to.

    Pictures are independent of each other: ``objective(images).total.sum().backward()`` gives
    each its own gradient.

    Attributes:
        encoder: on the device of the pictures.
        content: target of each picture of the batch, in its order.
        style: target of all of them; where its regions are may differ from picture to picture.
        weights: of the losses.
    """

    encoder: Encoder
    content: ContentTarget
    style: StyleTarget
    weights: LossWeights = LossWeights()

    def __call__(self, images: ImageBatch) -> ObjectiveValue:
        """Losses of pictures of shape (b, 3, h, w), in one pass through the network."""
        measured = self._measure(images)
        content, style = self._content_loss(measured), self._style_loss(measured)
        tv = total_variation(images)
        weights = self.weights
        total = weights.content * content + weights.style * style + weights.tv * tv
        return ObjectiveValue(total, content, style, tv)

    def select(self, indices: Tensor | Sequence[int]) -> Objective:
        """The objective of the pictures at ``indices`` of the batch, in that order."""
        device = self.encoder.mean.device
        chosen = torch.as_tensor(indices, dtype=torch.long, device=device)
        return replace(self, content=self.content.select(chosen), style=self.style.select(chosen))

    def _measure(self, images: ImageBatch) -> Measured:
        features = self.encoder(images, [*self.content.features, *self.style.layers])
        contents = {
            name: content_loss(features[name], target)
            for name, target in self.content.features.items()
        }
        grams = [
            {
                name: gram_matrix(features[name], region.guides.get(name), self.style.is_centred)
                for name in self.style.layers
            }
            for region in self.style.regions
        ]
        return Measured(contents, grams)

    def _content_loss(self, measured: Measured) -> PerImage:
        weights = self.weights.content_layers
        losses = [weights.get(name, 1.0) * loss for name, loss in measured.contents.items()]
        return torch.stack(losses).sum(dim=0)

    def _style_loss(self, measured: Measured) -> PerImage:
        weights = self.weights.style_layers
        losses = [
            region.weight * weights.get(name, 1.0) * _region_loss(region, name, gram)
            for region, grams in zip(self.style.regions, measured.grams, strict=True)
            for name, gram in grams.items()
        ]
        return torch.stack(losses).sum(dim=0)


def _region_loss(region: RegionTarget, layer: str, gram: GramMatrix) -> PerImage:
    """Style loss of one region at one layer, times the region's share of the picture.

    The share, which is not in Gatys et al. 2017, makes the style weigh as much against the
    content in each pixel of a region as in a picture that is all of one style.
    """
    loss = style_loss(gram, region.grams[layer])
    guide = region.guides.get(layer)
    return loss if guide is None else guide.square().mean(dim=(1, 2, 3)) * loss
