"""How good a generator is on photographs that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor, nn

from stylecore.generate.networks import Generator
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import StyleTarget, make_content_target
from stylecore.settings import OptimizeSettings
from stylecore.training.generator_game import one_hot, select_styles
from stylecore.training.settings import TrainGeneratorSettings
from stylecore.training.style_validation import (
    JudgedPhotographs,
    JudgedPicture,
    StyleValidation,
)
from stylecore.types import ImageBatch

_CONTENT_LAYERS = OptimizeSettings().content_layers
_LEAST_LOSS = 1e-12  # of a black picture in the style of a black painting


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
    def validate(self, generator: Generator, step: int) -> StyleValidation:
        """Every photograph in every style; the total is a geometric mean."""
        judged = JudgedPhotographs()
        for pixels in self.photographs:
            photograph = to_batch([pixels]).to(self._encoder.mean.device)
            styles = [self._judge(generator, photograph, n) for n in range(generator.num_styles)]
            judged.add(pixels, styles)
        return judged.validation(step, _geometric_mean)

    def _judge(self, generator: Generator, photograph: ImageBatch, style: int) -> JudgedPicture:
        chosen = torch.tensor([style], device=photograph.device)
        picture = generator(photograph, one_hot(chosen, generator.num_styles))
        target = select_styles(self._target, chosen)
        weights = LossWeights(self._settings.content_weight, self._settings.style_weight)
        content = make_content_target(self._encoder, photograph, _CONTENT_LAYERS)
        value = Objective(self._encoder, content, target, weights)(picture)
        distance: Tensor = self._lpips(picture, photograph, normalize=True)
        losses = (value.total, value.content, value.style, distance)
        return JudgedPicture(picture, *(loss.item() for loss in losses))


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(fmean(math.log(max(value, _LEAST_LOSS)) for value in values))
