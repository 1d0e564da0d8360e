"""How sure a figure is: percentile bootstrap intervals, and Wilson's for a share of votes.

All intervals are of 95 %. The bootstrap resamples pictures (Efron 1979), with a seed, so that the
same figures give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

LEVEL: Final = 0.95
_NUM_RESAMPLES: Final = 2000
_BATCH_VALUES: Final = 2**22  # drawn at once: 32 MB
Statistic = Literal["mean", "median"]
_STATISTICS: Final[dict[Statistic, Callable[..., Any]]] = {"mean": np.mean, "median": np.median}


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval of 95 %; None for both ends where one value is all there is."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Share:
    """A part of a whole, with Wilson's interval of 95 %."""

    value: float
    low: float
    high: float


def bootstrap_estimate(
    values: Sequence[float], statistic: Statistic = "mean", seed: int = 0
) -> Estimate:
    """A statistic with its percentile bootstrap interval.

    For paired runs, pass the differences: pairs are then drawn together.

    Args:
        values: at least one, all finite.
        statistic: ``mean`` or ``median``.
        seed: of the resampling.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    # Imported here because it is slow, and a wrong request is answered before it.
    from scipy.stats import bootstrap

    drawn = np.asarray(values, float)
    if not len(drawn) or not np.isfinite(drawn).all():
        raise ValueError(f"{len(drawn)} values, which must be at least one and finite")
    compute = _STATISTICS[statistic]
    value = float(compute(drawn))
    if len(drawn) == 1:
        return Estimate(value, None, None)
    interval = bootstrap(
        (drawn,),
        compute,
        n_resamples=_NUM_RESAMPLES,
        batch=max(1, _BATCH_VALUES // len(drawn)),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def wilson_share(wins: int, total: int) -> Share:
    """A share with Wilson's score interval (Wilson 1927), which also holds for few votes.

    Args:
        wins: 0 to ``total``.
        total: at least 1.

    Raises:
        ValueError: there is no vote, or more wins than votes.
    """
    from scipy.stats import binomtest

    interval = binomtest(wins, total).proportion_ci(confidence_level=LEVEL, method="wilson")
    return Share(wins / total, float(interval.low), float(interval.high))
