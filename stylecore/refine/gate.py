"""The gate: how strong a refinement may be, if any, by measures taken before and after.

It wants the largest gain of texture that costs little of the photograph. Accepted is only what
brings the texture at least 5 % closer to the paintings' (``LEAST_GAIN``) while LPIPS rises and SSIM
falls by 3 % at most (``LARGEST_COST``); everything else keeps the optimizer's picture (strength 0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

ALPHAS: Final = (0.25, 0.5, 0.75, 1.0)
LEAST_GAIN: Final = 0.05
LARGEST_COST: Final = 0.03


@dataclass(frozen=True)
class GateFigures:
    """Measures of one picture.

    Attributes:
        fdrl: distance of its texture from the paintings'; lower is better.
        lpips: distance from its photograph; lower is better.
        ssim: similarity to its photograph; higher is better; None where not defined.
    """

    fdrl: float
    lpips: float
    ssim: float | None


@dataclass(frozen=True)
class GateChoice:
    """What became of one picture.

    Attributes:
        alpha: strength of the refinement; 0 is rejected.
        before: figures of the stylized picture.
        after: figures of what is kept; those before where rejected.
    """

    alpha: float
    before: GateFigures
    after: GateFigures

    @property
    def is_accepted(self) -> bool:
        """Whether the picture was changed."""
        return self.alpha > 0

    @property
    def gain(self) -> float:
        """Share of the texture distance that is gone, from 0 to 1."""
        return texture_gain(self.before, self.after)


def texture_gain(before: GateFigures, after: GateFigures) -> float:
    """Share of the texture distance that is gone; negative where it grew."""
    return 1 - after.fdrl / before.fdrl if before.fdrl > 0 else 0.0


def is_allowed(before: GateFigures, after: GateFigures) -> bool:
    """Whether the gain is enough and what is lost of the photograph little; never if not finite."""
    figures = [after.fdrl, after.lpips, 0.0 if after.ssim is None else after.ssim]
    if not all(map(math.isfinite, figures)):
        return False
    if after.lpips > before.lpips * (1 + LARGEST_COST):
        return False
    if before.ssim is not None and (
        after.ssim is None or after.ssim < before.ssim - LARGEST_COST * abs(before.ssim)
    ):
        return False
    return texture_gain(before, after) >= LEAST_GAIN


def choose_alpha(before: GateFigures, candidates: Mapping[float, GateFigures]) -> GateChoice:
    """The strength for one picture.

    Args:
        before: figures of the stylized picture.
        candidates: strength above 0 to figures of the picture refined so.

    Returns:
        The allowed strength with the largest gain, the lower one of equals; 0 if none is allowed.
    """
    choice = GateChoice(0.0, before, before)
    for alpha, after in sorted(candidates.items()):
        if is_allowed(before, after) and after.fdrl < choice.after.fdrl:
            choice = GateChoice(alpha, before, after)
    return choice


def choose_style_alpha(
    pictures: Sequence[tuple[GateFigures, Mapping[float, GateFigures]]],
) -> float:
    """One strength for all pictures of a style, by what it does to validation pictures.

    Args:
        pictures: of each, figures before and by strength, all with the same strengths.

    Returns:
        The strength with the largest median gain, where a picture that it is not allowed for
        gains nothing; 0 if no strength reaches ``LEAST_GAIN`` so.
    """
    best, best_gain = 0.0, LEAST_GAIN
    for alpha in sorted({alpha for _, candidates in pictures for alpha in candidates}):
        gains = [
            choose_alpha(before, {alpha: candidates[alpha]}).gain for before, candidates in pictures
        ]
        if median(gains) > best_gain or (best == 0 and median(gains) == best_gain):
            best, best_gain = alpha, median(gains)
    return best
