"""How good a decoder is on photographs, and where it may be on paintings, that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import nn

from stylecore.generate.arbitrary import FEATURES, Style, measure_adapted
from stylecore.generate.decoder import SCALE, Decoder
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch, to_batch
from stylecore.perception.encoder import Encoder
from stylecore.training.arbitrary_game import apply_style, arbitrary_losses
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.style_views import measure_images
from stylecore.types import ImageBatch

_MAX_SAMPLES = 4


@dataclass(frozen=True)
class _Judged:
    """One picture, and the losses of it."""

    picture: ImageBatch
    content: float
    style: float
    lpips: float


@dataclass(frozen=True, eq=False)
class ArbitraryValidation:
    """What the losses say of drawn pictures.

    Attributes:
        step: after which it was made.
        total: mean of the weighted losses over photographs and paintings.
        content: mean content loss, not weighted.
        style: mean style loss, not weighted.
        lpips: mean distance from the photographs.
        pictures: how many there were.
        samples: of the first few, photograph and picture, each of shape (h, w, 3).
    """

    step: int
    total: float
    content: float
    style: float
    lpips: float
    pictures: int
    samples: list[list[RgbImage]]

    @property
    def score(self) -> tuple[float, float]:
        """Less of the losses, and less distance from the photographs."""
        return -self.total, -self.lpips

    def headline(self) -> str:
        """The score in a few words."""
        return f"validation {self.total:.3g}"

    def figures(self) -> dict[str, float]:
        """For the card."""
        return {
            "step": float(self.step),
            "pictures": float(self.pictures),
            "total_loss": self.total,
            "content_loss": self.content,
            "style_loss": self.style,
            "lpips_content": self.lpips,
        }


class ArbitraryValidator:
    """Judges decoders on the same photographs, each in every style.

    Args:
        photographs: at least one, at the size of the pictures.
        paintings: at least one, at the size of the strokes.
        encoder: on the device.
        lpips: from ``build_lpips``.
        settings: the weights of the losses.
    """

    @torch.no_grad()
    def __init__(
        self,
        photographs: Sequence[RgbImage],
        paintings: Sequence[RgbImage],
        encoder: Encoder,
        lpips: nn.Module,
        settings: TrainArbitrarySettings,
    ) -> None:
        self.photographs = photographs
        self._encoder = encoder
        self._lpips = lpips
        self._settings = settings
        self._styles = [
            measure_images(encoder, to_batch([pixels]).to(encoder.mean.device))
            for pixels in paintings
        ]

    @torch.no_grad()
    def validate(self, decoder: Decoder, step: int) -> ArbitraryValidation:
        """Every photograph in every style."""
        judged: list[_Judged] = []
        samples: list[list[RgbImage]] = []
        for number, pixels in enumerate(map(_whole_features, self.photographs)):
            photograph = to_batch([pixels]).to(self._encoder.mean.device)
            styles = [self._judge(decoder, photograph, style) for style in self._styles]
            judged += styles
            if len(samples) < _MAX_SAMPLES:
                shown = styles[number % len(styles)].picture
                samples.append([pixels, from_batch(shown)[0]])
        return self._sum_up(step, judged, samples)

    def _judge(self, decoder: Decoder, photograph: ImageBatch, style: Style) -> _Judged:
        features = self._encoder(photograph, [FEATURES])[FEATURES]
        own = measure_adapted(photograph, features)
        batch = apply_style(photograph, features, own, style)
        picture = decoder(batch.adapted, batch.ground)
        content, distance = arbitrary_losses(self._encoder, picture, batch)
        lpips = self._lpips(picture, photograph, normalize=True)
        return _Judged(picture, content.item(), distance.item(), lpips.item())

    def _sum_up(
        self, step: int, judged: Sequence[_Judged], samples: list[list[RgbImage]]
    ) -> ArbitraryValidation:
        content, style = fmean(one.content for one in judged), fmean(one.style for one in judged)
        settings = self._settings
        return ArbitraryValidation(
            step=step,
            total=settings.content_weight * content + settings.style_weight * style,
            content=content,
            style=style,
            lpips=fmean(one.lpips for one in judged),
            pictures=len(judged),
            samples=samples,
        )


def _whole_features(pixels: RgbImage) -> RgbImage:
    """The upper left part of whole pixels of the features: a photograph has 16 px at least."""
    height, width = (side // SCALE * SCALE for side in pixels.shape[:2])
    return pixels[:height, :width]
