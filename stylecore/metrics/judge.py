"""Measures of finished pictures in one style: texture, and what set scores are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch

from stylecore.images.codec import RgbImage
from stylecore.images.resize import resize_style
from stylecore.images.tensors import to_batch
from stylecore.metrics.frechet import Moments, average_moments
from stylecore.metrics.sets import SetFeatures
from stylecore.metrics.texture import TextureMeasures
from stylecore.perception.encoder import build_encoder
from stylecore.perception.weights import load_weights

_KEPT_SIZES: Final = 4


@dataclass(frozen=True, eq=False)
class Judgement:
    """Measures of one picture.

    Attributes:
        fdrl: texture, by a random network.
        swdl: texture, by patches.
        picture: moments of its VGG-16 features.
        paintings: those of the paintings at its size.
    """

    fdrl: float
    swdl: float
    picture: Moments
    paintings: Moments


class StyleJudge:
    """Measures pictures in one style; the paintings' statistics are kept for a few sizes.

    Args:
        paintings: at full size, at least one; each counts alike.
        style_scale: the paintings' longest side over the picture's, as the job has it.
        device: to work on.
    """

    def __init__(self, paintings: Sequence[RgbImage], style_scale: float, device: str) -> None:
        self._paintings = paintings
        self._style_scale = style_scale
        self._device = device
        self._features = _set_features(device)
        self._reference_at = lru_cache(_KEPT_SIZES)(self._measure_paintings)

    def judge(self, picture: RgbImage) -> Judgement:
        """Measures of a picture of any size, shape (h, w, 3)."""
        texture, paintings = self._reference_at(max(picture.shape[:2]))
        batch = to_batch([picture]).to(self._device)
        return Judgement(
            fdrl=texture.fdrl(batch),
            swdl=texture.swdl(batch),
            picture=self._features.moments(batch),
            paintings=paintings,
        )

    def _measure_paintings(self, longest_side_px: int) -> tuple[TextureMeasures, Moments]:
        side_px = max(1, round(longest_side_px * self._style_scale))
        batches = [
            to_batch([resize_style(painting, side_px)]).to(self._device)
            for painting in self._paintings
        ]
        moments = average_moments([self._features.moments(batch) for batch in batches])
        return TextureMeasures(batches), moments


@lru_cache(maxsize=8)
def _set_features(device: str) -> SetFeatures:
    encoder = build_encoder("vgg16", "max", load_weights("vgg16", None))
    return SetFeatures(encoder.to(torch.device(device)))
