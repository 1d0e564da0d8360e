"""What a minimisation has found so far, picture by picture: the best seen, and who goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from stylecore.errors import DeadlineError, NonFiniteError, RowError
from stylecore.types import ImageBatch, PerImage

_FEW_EVALUATIONS = 5  # up to here, a search that has found nothing better yet may still be going


@dataclass(frozen=True, eq=False)
class MinimizeResult:
    """What a minimisation came to, in the order of the batch.

    Attributes:
        images: the best seen, in [0, 1], shape (b, 3, h, w).
        evaluations: how many each picture took part in.
        totals: objective at ``images``, shape (b,); infinite where none was finite.
        errors: why a picture was given up, or None.
        is_stalled: whether nothing better than the start was found, though it was searched for.
    """

    images: ImageBatch
    evaluations: list[int]
    totals: PerImage
    errors: list[RowError | None]
    is_stalled: list[bool]


class Findings:
    """The best of each picture of a batch so far, and who is still in the running.

    Args:
        start: first pictures, shape (b, 3, h, w).
        num_evaluations: after which a picture is done.
    """

    def __init__(self, start: ImageBatch, num_evaluations: int) -> None:
        self.active: Bool[Tensor, " b"] = torch.ones_like(start[:, 0, 0, 0], dtype=torch.bool)
        self.best = start
        self.evaluations = torch.zeros_like(self.active, dtype=torch.long)
        self._num_evaluations = num_evaluations
        self._totals = torch.full_like(start[:, 0, 0, 0], torch.inf)
        self._num_better = torch.zeros_like(self.evaluations)
        self._errors: list[RowError | None] = [None] * len(start)

    def note(self, trial: ImageBatch, totals: PerImage, gradients: ImageBatch) -> None:
        """Take in an evaluation of everybody who is active."""
        self.evaluations = self.evaluations + self.active
        is_finite = totals.isfinite() & gradients.isfinite().flatten(start_dim=1).all(dim=1)
        self._give_up(self.active & ~is_finite, _non_finite)
        is_best = self.active & (totals < self._totals)
        self.best = torch.where(is_best.view(-1, 1, 1, 1), trial, self.best)
        self._totals = torch.where(is_best, totals, self._totals)
        self._num_better = self._num_better + is_best
        self.active = self.active & (self.evaluations < self._num_evaluations)

    def give_up_late(self, late: Bool[Tensor, " b"]) -> None:
        """The time is up for those who are ``late`` and still in the running."""

        def error_after(num_done: int) -> RowError:
            return DeadlineError(
                "",
                f"the time for one picture ran out after {num_done} of {self._num_evaluations} "
                "evaluations: allow more (limits.picture_seconds), or fewer pixels or evaluations",
            )

        self._give_up(self.active & late, error_after)

    def enter(self, places: Sequence[int], starts: ImageBatch) -> None:
        """Begin again at those ``places``, from the pictures there; others are not looked at."""
        for place in places:
            self._errors[place] = None
        entering = self.at(places)
        self.active = self.active | entering
        self.best = torch.where(entering.view(-1, 1, 1, 1), starts, self.best)
        self.evaluations = torch.where(entering, 0, self.evaluations)
        self._num_better = torch.where(entering, 0, self._num_better)
        self._totals = torch.where(entering, torch.inf, self._totals)

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` only."""
        self.active, self.best = self.active[places], self.best[places]
        self.evaluations, self._totals = self.evaluations[places], self._totals[places]
        self._num_better = self._num_better[places]
        self._errors = [self._errors[place] for place in places.tolist()]

    def at(self, places: Sequence[int]) -> Bool[Tensor, " b"]:
        """True at those places."""
        mask = torch.zeros_like(self.active)
        mask[list(places)] = True
        return mask

    def result(self, places: Sequence[int]) -> MinimizeResult:
        """What has been found at those places."""
        chosen = list(places)
        evaluations = self.evaluations[chosen]
        is_stalled = (self._num_better[chosen] <= 1) & (evaluations > _FEW_EVALUATIONS)
        return MinimizeResult(
            self.best[chosen],
            evaluations.tolist(),
            self._totals[chosen],
            [self._errors[place] for place in chosen],
            is_stalled.tolist(),
        )

    def _give_up(self, leaving: Bool[Tensor, " b"], error_after: Callable[[int], RowError]) -> None:
        for place in leaving.nonzero().flatten().tolist():
            self._errors[place] = error_after(int(self.evaluations[place]))
        self.active = self.active & ~leaving


def _non_finite(evaluation: int) -> RowError:
    return NonFiniteError(
        "",
        f"the objective or its gradient is not a finite number at evaluation {evaluation}: "
        "lower style_weight, content_weight or tv_weight, or use other encoder weights",
    )
