"""How good a refiner is on pictures that it was not trained on, by the measures of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch
from stylecore.refine.apply import refine_at_strengths
from stylecore.refine.gate import (
    ALPHAS,
    GateChoice,
    GateFigures,
    choose_alpha,
    choose_style_alpha,
)
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Refiner
from stylecore.training.augmentation import Pair

_MAX_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class RefinerValidation:
    """What the gate says of validation pictures.

    Attributes:
        step: after which it was made.
        choices: one a picture.
        style_alpha: the strength to use for all, 0 if none helps.
        samples: of the first few, photograph, stylized and refined picture, as the gate let it
            through; each of shape (h, w, 3).
    """

    step: int
    choices: list[GateChoice]
    style_alpha: float
    samples: list[list[RgbImage]]

    @property
    def score(self) -> tuple[float, float]:
        """Median and mean of the gains in fdRL, where a rejected picture gains nothing."""
        gains = [choice.gain for choice in self.choices]
        return median(gains), fmean(gains)

    def headline(self) -> str:
        """The score in a few words."""
        return f"fdRL gain {self.score[0]:.1%}"

    def figures(self) -> dict[str, float]:
        """For the card: ``accepted`` is the share of pictures, changes are relative medians.

        ``strength`` is the one to use for all pictures of the style, 0 if none helps.
        """
        accepted = [choice for choice in self.choices if choice.is_accepted]
        found = {
            "step": float(self.step),
            "pictures": float(len(self.choices)),
            "accepted": len(accepted) / len(self.choices),
            "fdrl_gain": self.score[0],
            "strength": self.style_alpha,
        }
        if accepted:
            found["lpips_change"] = median(
                choice.after.lpips / choice.before.lpips - 1 if choice.before.lpips else 0.0
                for choice in accepted
            )
        return found


class Validator:
    """Validates refiners on the same pictures; what does not change is measured once.

    Args:
        pairs: at least one.
        measures: of the style.
    """

    def __init__(self, pairs: Sequence[Pair], measures: GateMeasures) -> None:
        self.pairs = pairs
        self.measures = measures
        self._before = [measures.measure(pair.stylized, pair.content) for pair in pairs]

    def validate(self, refiner: Refiner, step: int) -> RefinerValidation:
        """Every picture at every strength."""
        choices: list[GateChoice] = []
        tried: list[tuple[GateFigures, dict[float, GateFigures]]] = []
        samples: list[list[RgbImage]] = []
        for pair, before in zip(self.pairs, self._before, strict=True):
            pictures = refine_at_strengths(refiner, pair.stylized, pair.content, ALPHAS)
            figures = {
                alpha: self.measures.measure(picture, pair.content)
                for alpha, picture in pictures.items()
            }
            choice = choose_alpha(before, figures)
            choices.append(choice)
            tried.append((before, figures))
            if len(samples) < _MAX_SAMPLES:
                refined = pictures.get(choice.alpha, pair.stylized)
                three = (pair.content, pair.stylized, refined)
                samples.append([from_batch(one)[0] for one in three])
        return RefinerValidation(step, choices, choose_style_alpha(tried), samples)
