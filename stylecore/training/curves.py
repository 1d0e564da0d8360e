"""Loss curves of any training in a bounded number of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from stylecore.settings import FrozenModel

_MAX_POINTS: Final = 500


class CurvePoint(FrozenModel):
    """Means over the steps since the point before.

    Attributes:
        step: the last of them.
        values: by name of the loss; of those steps that had it.
    """

    step: int
    values: dict[str, float]


class Curves(FrozenModel):
    """What was learned when, and the steps that are not a point yet.

    Attributes:
        points: in order.
        sums: since the last point.
        counts: of what is summed.
    """

    points: tuple[CurvePoint, ...] = ()
    sums: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)

    def add(self, step: int, num_steps: int, losses: Mapping[str, float]) -> Curves:
        """With one more step, of a training of ``num_steps``."""
        sums, counts = dict(self.sums), dict(self.counts)
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss
            counts[name] = counts.get(name, 0) + 1
        if step % max(1, num_steps // _MAX_POINTS) != 0 and step != num_steps:
            return Curves(points=self.points, sums=sums, counts=counts)
        means = {name: total / counts[name] for name, total in sums.items()}
        return Curves(points=(*self.points, CurvePoint(step=step, values=means)))
