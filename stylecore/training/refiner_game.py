"""What a refiner is trained for: crops of stylized pictures, held against those of paintings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import gram_matrix
from stylecore.refine.adversary import Scalar
from stylecore.refine.networks import Refiner
from stylecore.training.augmentation import Pair, crop_pair, crop_randomly, jitter_color
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.views import Units, View, view_changed, view_in
from stylecore.types import FeatureMap, GramMatrix, ImageBatch

_CONTENT_LAYERS: Final = ("relu1_2", "relu2_2", "relu3_3")
_STYLE_LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_LEAST_NORM: Final = 1e-10
# Of features from the photograph's, below which a crop counts as the photograph itself, as where a
# mask is black: noise of three levels makes as much, another picture forty times that.
_LEAST_DISTANCE: Final = 0.1
_BLOCK_PX: Final = 8
_JITTER: Final = 0.05


@dataclass(frozen=True)
class RefinerBatch:
    """Crops of one step.

    Attributes:
        crops: of pairs, shape (b, 3, s, s).
        units: of the whole stylized picture of each crop.
        real: views of crops of paintings, shape (b, 2, s, s).
    """

    crops: Pair
    units: Units
    real: View


class RefinerGame:
    """Refined pictures against paintings.

    Args:
        pairs: to train on, on the device, at least 16 px each side.
        paintings: of the style, each of shape (1, 3, h, w), at the scale of the pictures' strokes.
        encoder: VGG-16 on the device.
        settings: crops and weights.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        paintings: Sequence[ImageBatch],
        encoder: Encoder,
        settings: TrainRefinerSettings,
    ) -> None:
        self.pairs = pairs
        self.encoder = encoder
        self.settings = settings
        self.paintings = [view_in(Units.of(painting), painting) for painting in paintings]
        self.grams = self._mean_grams(paintings)

    def draw(self, random: torch.Generator) -> RefinerBatch:
        """Crops of random pictures and random paintings."""
        side_px, num = self.settings.crop_px, self.settings.batch_size
        pairs = [
            jitter_color(self.pairs[index], _JITTER, random)
            for index in torch.randint(len(self.pairs), (num,), generator=random).tolist()
        ]
        crops = [crop_pair(pair, side_px, random) for pair in pairs]
        reals = [
            crop_randomly(self.paintings[index], side_px, random)
            for index in torch.randint(len(self.paintings), (num,), generator=random).tolist()
        ]
        units = [Units.of(pair.stylized) for pair in pairs]
        return RefinerBatch(_stack_pairs(crops), _stack_units(units), torch.cat(reals))

    def generate(self, generator: Refiner, batch: RefinerBatch) -> ImageBatch:
        """Refine the crops at full strength."""
        refined: ImageBatch = generator(batch.crops.stylized, batch.crops.content)
        return refined

    def view_fake(self, pictures: ImageBatch, batch: RefinerBatch) -> View:
        """The refined crops, in the units that their whole pictures have when refined."""
        return view_changed(batch.units, batch.crops.stylized, pictures)

    def view_real(self, batch: RefinerBatch) -> View:
        """Crops of the paintings."""
        return batch.real

    def penalties(
        self, step: int, pictures: ImageBatch, batch: RefinerBatch
    ) -> Mapping[str, Scalar]:
        """What keeps a refined picture a picture of its photograph in the style."""
        settings = self.settings
        change = functional.avg_pool2d(pictures - batch.crops.stylized, _BLOCK_PX)
        losses = {"residual": settings.residual_weight * change.abs().mean()}
        if step % settings.perception_every == 0:
            if settings.structure_weight > 0:
                losses["structure"] = settings.structure_weight * _lost_structure(
                    pictures, batch.crops
                )
            if settings.content_weight + settings.style_weight > 0:
                # Half of the crops do: the pretrained network takes more time than all the rest.
                half = slice((len(pictures) + 1) // 2)
                crops = Pair(batch.crops.stylized[half], batch.crops.content[half])
                losses |= self._perceived(pictures[half], crops)
        return losses

    def _perceived(self, pictures: ImageBatch, crops: Pair) -> dict[str, Scalar]:
        with torch.no_grad():
            before = self.encoder(crops.stylized, _CONTENT_LAYERS)
            target = self.encoder(crops.content, _CONTENT_LAYERS)
            allowed = _feature_distance(before, target).clamp(min=_LEAST_DISTANCE)
        layers = (
            [*_CONTENT_LAYERS, *_STYLE_LAYERS] if self.settings.style_weight else _CONTENT_LAYERS
        )
        found = self.encoder(pictures, layers)
        excess = functional.relu(_feature_distance(found, target) / allowed - 1)
        losses = {"content": self.settings.content_weight * excess.mean()}
        if self.settings.style_weight > 0:
            losses["style"] = self.settings.style_weight * self._style_distance(found)
        return losses

    def _style_distance(self, found: Mapping[str, FeatureMap]) -> Scalar:
        distances = []
        for name in _STYLE_LAYERS:
            mean = gram_matrix(found[name]).mean(dim=0)
            target = self.grams[name]
            distances.append((mean - target).square().sum() / target.square().sum())
        return torch.stack(distances).mean()

    @torch.no_grad()
    def _mean_grams(self, paintings: Sequence[ImageBatch]) -> dict[str, GramMatrix]:
        each = [self.encoder(painting, _STYLE_LAYERS) for painting in paintings]
        return {
            name: torch.stack([gram_matrix(features[name])[0] for features in each]).mean(dim=0)
            for name in _STYLE_LAYERS
        }


def _feature_distance(found: Mapping[str, FeatureMap], target: Mapping[str, FeatureMap]) -> Tensor:
    """LPIPS without its heads, shape (b,)."""
    layers = [
        (_unit(found[name]) - _unit(target[name])).square().sum(dim=1).mean(dim=(1, 2))
        for name in _CONTENT_LAYERS
    ]
    return torch.stack(layers).sum(dim=0)


def _unit(features: FeatureMap) -> FeatureMap:
    return features / (features.square().sum(dim=1, keepdim=True) + _LEAST_NORM).sqrt()


def _lost_structure(pictures: ImageBatch, crops: Pair) -> Scalar:
    before, after = (
        torch.as_tensor(
            structural_similarity_index_measure(
                images, crops.content, data_range=1.0, reduction="none"
            )
        )
        for images in (crops.stylized, pictures)
    )
    return functional.relu(before - after).mean()


def _stack_pairs(pairs: Sequence[Pair]) -> Pair:
    return Pair(
        torch.cat([pair.stylized for pair in pairs]), torch.cat([pair.content for pair in pairs])
    )


def _stack_units(units: Sequence[Units]) -> Units:
    return Units(
        torch.cat([each.mean for each in units]),
        torch.cat([each.deviation for each in units]),
        torch.cat([each.detail for each in units]),
    )
