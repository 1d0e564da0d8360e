"""What a decoder of adaptive instance normalization is trained for.

Two departures from the paper (arXiv:1703.06868, equations 11 to 13), so that a weight means the
same for any encoder: means replace sums, and every term is divided by the size of what it is to
reach. Two more, since whoever uses the network will ask for it: some of the targets are mixtures of
styles, and some are photographs without any. These are drawn from features that nobody adapted, and
held against the photograph itself, pixel by pixel (as Li et al. 2017, arXiv:1705.08086, train all
of their decoder): that costs a third of a step, and is what teaches a decoder soonest to draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stylecore.generate.adain import ChannelStatistics, adapt, measure_channels, mix_channels
from stylecore.generate.arbitrary import FEATURES, PIXELS, Style
from stylecore.generate.decoder import Decoder
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.refine.adversary import Scalar
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.augmentation import crop_randomly
from stylecore.training.style_views import STYLE_LAYERS, measure_layers
from stylecore.types import FeatureMap, ImageBatch, PerImage

_LEAST_ENERGY = 1e-8  # of a black photograph's features


@dataclass(frozen=True, eq=False)
class ArbitraryBatch:
    """What one step is to reach.

    Attributes:
        adapted: the features to draw, shape (b, c, s / 8, s / 8).
        ground: the photographs in the style's colors, shape (b, 3, s, s).
        style: the statistics that the pictures are to have, of b images.
        photographs: what the features are of, where they were not adapted; else None. Shape
            (b, 3, s, s).
    """

    adapted: FeatureMap
    ground: ImageBatch
    style: Style
    photographs: ImageBatch | None = None


class ArbitraryGame:
    """Drawn pictures against the features that they were drawn from, and the style.

    Args:
        photographs: to train on, 8 bit, each of shape (h, w, 3), at the size of the pictures.
        views: styles to draw from.
        encoder: on the device.
        settings: crops and weights.
    """

    def __init__(
        self,
        photographs: Sequence[RgbImage],
        views: Style,
        encoder: Encoder,
        settings: TrainArbitrarySettings,
    ) -> None:
        self.photographs = photographs
        self.encoder = encoder
        self.settings = settings
        self.device = encoder.mean.device
        self.views = views

    @torch.no_grad()
    def draw(self, random: torch.Generator) -> ArbitraryBatch:
        """Features of crops of random photographs, each adapted to a random style, or as it is."""
        side_px, num = self.settings.crop_px, self.settings.batch_size
        chosen = torch.randint(len(self.photographs), (num,), generator=random).tolist()
        crops = [
            crop_randomly(to_batch([self.photographs[index]]), side_px, random) for index in chosen
        ]
        photographs = torch.cat(crops).to(self.device, memory_format=torch.channels_last)
        features = self.encoder(photographs, STYLE_LAYERS)
        if torch.rand((), generator=random).item() < self.settings.drawing_share:
            return ArbitraryBatch(features[FEATURES], photographs, {}, photographs)
        own = measure_layers(photographs, features)
        return apply_style(photographs, features[FEATURES], own, self._choose(own, random))

    def _choose(self, own: Style, random: torch.Generator) -> Style:
        """A style for each photograph: one, or a mixture of two, or of one and its own."""
        num = len(own[FEATURES].mean)
        num_views = len(self.views[FEATURES].mean)
        one, other = torch.randint(num_views, (2, num), generator=random)
        chance, share = torch.rand(2, num, generator=random)
        mixing = self.settings.mixing_share
        share = torch.where(chance < mixing, share, 0.0).to(self.device)
        is_own = (chance < mixing / 2).to(self.device)[:, None]
        found: dict[str, ChannelStatistics] = {}
        for name, views in self.views.items():
            second = views[other]
            second = ChannelStatistics(
                torch.where(is_own, own[name].mean, second.mean),
                torch.where(is_own, own[name].deviation, second.deviation),
            )
            found[name] = mix_channels(views[one], second, share)
        return found

    def generate(self, decoder: Decoder, batch: ArbitraryBatch) -> ImageBatch:
        """Draw the pictures."""
        pictures: ImageBatch = decoder(batch.adapted, batch.ground)
        return pictures

    def penalties(
        self, step: int, pictures: ImageBatch, batch: ArbitraryBatch
    ) -> Mapping[str, Scalar]:
        """Content and style, weighted; where there is no style, the difference in pixels."""
        del step
        if batch.photographs is not None:
            error = (pictures - batch.photographs).square().mean()
            return {"drawing": self.settings.drawing_weight * error}
        content, style = arbitrary_losses(self.encoder, pictures, batch)
        return {
            "content": self.settings.content_weight * content.mean(),
            "style": self.settings.style_weight * style.mean(),
        }


def apply_style(
    photographs: ImageBatch, features: FeatureMap, own: Style, style: Style
) -> ArbitraryBatch:
    """What is to be made of photographs.

    Args:
        photographs: shape (b, 3, h, w).
        features: of them.
        own: statistics of them.
        style: to give them.
    """
    adapted = adapt(features, own[FEATURES], style[FEATURES])
    ground = adapt(photographs, own[PIXELS], style[PIXELS])
    return ArbitraryBatch(adapted, ground, style)


def arbitrary_losses(
    encoder: Encoder, pictures: ImageBatch, batch: ArbitraryBatch
) -> tuple[PerImage, PerImage]:
    """How far pictures are from what they are to be, each in shares of that.

    Args:
        encoder: on the device of the pictures.
        pictures: shape (b, 3, h, w).
        batch: what they are to reach.

    Returns:
        The content loss: squared difference from the features to draw; and the style loss: squared
        differences of means and deviations, added up over the style layers. Each of shape (b,).
    """
    features = encoder(pictures, STYLE_LAYERS)
    content = _relative(features[FEATURES] - batch.adapted, batch.adapted)
    style = [
        style_distance(measure_channels(features[name]), batch.style[name]) for name in STYLE_LAYERS
    ]
    return content, torch.stack(style).sum(dim=0)


def style_distance(found: ChannelStatistics, wanted: ChannelStatistics) -> PerImage:
    """Squared difference of means and deviations in shares of what is wanted, shape (b,)."""
    both = torch.cat((wanted.mean, wanted.deviation), dim=1)
    return _relative(torch.cat((found.mean, found.deviation), dim=1) - both, both)


def _relative(difference: Float[Tensor, "b ..."], wanted: Float[Tensor, "b ..."]) -> PerImage:
    energy = wanted.square().flatten(start_dim=1).mean(dim=1).clamp_min(_LEAST_ENERGY)
    return difference.square().flatten(start_dim=1).mean(dim=1) / energy
