"""How good a generator is on photographs that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from stylecore.generate.networks import Generator
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch, to_batch
from stylecore.perception.encoder import Encoder
from stylecore.perception.objective import LossWeights
from stylecore.perception.targets import StyleTarget
from stylecore.training.generator_game import make_objective, one_hot, select_styles
from stylecore.training.settings import TrainGeneratorSettings
from stylecore.types import ImageBatch

_MAX_SAMPLES = 4


@dataclass(frozen=True)
class _Judged:
    """One picture, and the losses of it."""

    picture: ImageBatch
    total: float
    content: float
    style: float
    lpips: float


@dataclass(frozen=True, eq=False)
class GeneratorValidation:
    """What the objective says of generated pictures.

    Attributes:
        step: after which it was made.
        total: geometric mean of the objective over photographs and styles.
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
        """Less of the objective, and less distance from the photographs."""
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


class GeneratorValidator:
    """Judges generators on the same photographs, each in every style.

    Args:
        photographs: at least one, at the size of the pictures.
        target: of all styles.
        encoder: on the device.
        lpips: from ``build_lpips``.
        settings: the weights of the objective.
    """

    def __init__(
        self,
        photographs: Sequence[RgbImage],
        target: StyleTarget,
        encoder: Encoder,
        lpips: nn.Module,
        settings: TrainGeneratorSettings,
    ) -> None:
        self.photographs = photographs
        self._target = target
        self._encoder = encoder
        self._lpips = lpips
        self._settings = settings

    @torch.no_grad()
    def validate(self, generator: Generator, step: int) -> GeneratorValidation:
        """Every photograph in every style."""
        judged: list[_Judged] = []
        samples: list[list[RgbImage]] = []
        for number, pixels in enumerate(self.photographs):
            photograph = to_batch([pixels]).to(self._encoder.mean.device)
            styles = [self._judge(generator, photograph, n) for n in range(generator.num_styles)]
            judged += styles
            if len(samples) < _MAX_SAMPLES:
                shown = styles[number % len(styles)].picture
                samples.append([pixels, from_batch(shown)[0]])
        return GeneratorValidation(
            step=step,
            total=math.exp(fmean(math.log(max(one.total, 1e-12)) for one in judged)),
            content=fmean(one.content for one in judged),
            style=fmean(one.style for one in judged),
            lpips=fmean(one.lpips for one in judged),
            pictures=len(judged),
            samples=samples,
        )

    def _judge(self, generator: Generator, photograph: ImageBatch, style: int) -> _Judged:
        chosen = torch.tensor([style], device=photograph.device)
        picture = generator(photograph, one_hot(chosen, generator.num_styles))
        target = select_styles(self._target, chosen)
        weights = LossWeights(self._settings.content_weight, self._settings.style_weight)
        value = make_objective(self._encoder, photograph, target, weights)(picture)
        distance: Tensor = self._lpips(picture, photograph, normalize=True)
        losses = (value.total, value.content, value.style, distance)
        return _Judged(picture, *(loss.item() for loss in losses))
