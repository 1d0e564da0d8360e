"""The objective: how far pictures are from their contents and from a style, one value a picture.

With the default settings it is the reference objective that every comparison uses: mean squared
difference at relu4_2, plus 1e6 times that of the Gram matrices at relu1_1 to relu5_1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import content_loss, gram_matrix, style_loss, total_variation
from stylecore.perception.targets import ContentTarget, StyleTarget
from stylecore.types import FeatureMap, ImageBatch, PerImage


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts in the total."""

    content: float = 1.0
    style: float = 1e6
    tv: float = 0.0


@dataclass(frozen=True, eq=False)
class ObjectiveValue:
    """Losses of every picture of a batch, each of shape (b,).

    Attributes:
        total: the weighted sum of the others.
        content: summed over content layers, not weighted.
        style: summed over style layers, not weighted.
        tv: total variation, not weighted.
    """

    total: PerImage
    content: PerImage
    style: PerImage
    tv: PerImage


@dataclass(frozen=True, eq=False)
class Objective:
    """What a batch of pictures should come close to.

    Pictures are independent of each other: ``objective(images).total.sum().backward()`` gives
    each its own gradient.

    Attributes:
        encoder: on the device of the pictures.
        content: target of each picture of the batch, in its order.
        style: target of all of them.
        weights: of the losses.
    """

    encoder: Encoder
    content: ContentTarget
    style: StyleTarget
    weights: LossWeights = LossWeights()

    def __call__(self, images: ImageBatch) -> ObjectiveValue:
        """Losses of pictures of shape (b, 3, h, w), in one pass through the network."""
        layers = [*self.content.features, *self.style.grams]
        features = self.encoder(images, layers)
        content = self._content_loss(features)
        style = self._style_loss(features)
        tv = total_variation(images)
        weights = self.weights
        total = weights.content * content + weights.style * style + weights.tv * tv
        return ObjectiveValue(total, content, style, tv)

    def select(self, indices: Tensor | Sequence[int]) -> Objective:
        """The objective of the pictures at ``indices`` of the batch, in that order."""
        device = self.encoder.mean.device
        chosen = torch.as_tensor(indices, dtype=torch.long, device=device)
        return replace(self, content=self.content.select(chosen))

    def _content_loss(self, features: Mapping[str, FeatureMap]) -> PerImage:
        losses = [
            content_loss(features[name], target) for name, target in self.content.features.items()
        ]
        return torch.stack(losses).sum(dim=0)

    def _style_loss(self, features: Mapping[str, FeatureMap]) -> PerImage:
        losses = [
            style_loss(gram_matrix(features[name]), target)
            for name, target in self.style.grams.items()
        ]
        return torch.stack(losses).sum(dim=0)
