"""The loop: evaluate, tell the watch, ask the update rule where to go next.

A picture that cannot go on (its objective is not finite, its time is up) leaves with an error; its
neighbours do not notice. What comes back is the best that was seen, since neither rule ends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool
from torch import Tensor

from stylecore.errors import DeadlineError, JobError, NonFiniteError, RowError
from stylecore.optimize.adam import ProjectedAdam
from stylecore.optimize.lbfgs import BatchedLBFGS
from stylecore.optimize.precondition import FrequencyPreconditioner
from stylecore.optimize.watch import Watch
from stylecore.settings import OptimizeSettings
from stylecore.types import ImageBatch, PerImage


class UpdateRule(Protocol):
    """Proposes where to evaluate next; ``converged`` says which pictures cannot be improved."""

    converged: Bool[Tensor, " b"]

    def propose(
        self, totals: PerImage, gradients: ImageBatch, active: Bool[Tensor, " b"]
    ) -> ImageBatch:
        """The next trial, in [0, 1], from the objective and its gradient at the last one."""


@dataclass(frozen=True, eq=False)
class MinimizeResult:
    """What a minimisation came to, in the order of the batch.

    Attributes:
        images: the best seen, in [0, 1], shape (b, 3, h, w).
        evaluations: how many each picture took part in.
        totals: objective at ``images``, shape (b,); infinite where none was finite.
        errors: why a picture was given up, or None.
    """

    images: ImageBatch
    evaluations: list[int]
    totals: PerImage
    errors: list[RowError | None]


def minimize(
    objective: Callable[[ImageBatch], PerImage],
    start: ImageBatch,
    settings: OptimizeSettings,
    watch: Watch,
) -> MinimizeResult:
    """Lower an objective over pictures in [0, 1], each picture on its own.

    Args:
        objective: of a batch, one value a picture, each a function of that picture alone.
        start: where to begin, clamped to [0, 1], shape (b, 3, h, w); not changed.
        settings: update rule, and the number of evaluations, which is never exceeded.
        watch: progress, stop flag, deadline (of every picture of the batch).

    Raises:
        RunStoppedError: the watch's stop flag was set.
        JobError: the settings leave the number of evaluations open.
    """
    num_evaluations = _num_evaluations(settings)
    trial = start.detach().clamp(0, 1)
    rule = _update_rule(trial, settings)
    found = _Findings(trial)
    for evaluation in range(1, num_evaluations + 1):
        watch.check_stop()
        if watch.is_late():
            found.give_up_late(evaluation - 1, num_evaluations)
            break
        totals, gradients = _evaluate(objective, trial)
        found.note(trial, totals, gradients)
        if watch.on_evaluation is not None:
            watch.on_evaluation(evaluation, totals)
        if evaluation == num_evaluations:
            break
        trial = rule.propose(totals, gradients, found.active)
        found.active &= ~rule.converged
        if not found.active.any():
            break
    return found.result()


def _num_evaluations(settings: OptimizeSettings) -> int:
    if settings.num_evaluations is None:
        raise JobError("num_evaluations is empty: set it, or validate a whole job with a preset")
    return settings.num_evaluations


def _update_rule(start: ImageBatch, settings: OptimizeSettings) -> UpdateRule:
    if settings.optimizer == "adam":
        return ProjectedAdam(start, settings.learning_rate)
    return BatchedLBFGS(start, FrequencyPreconditioner(start))


def _evaluate(
    objective: Callable[[ImageBatch], PerImage], images: ImageBatch
) -> tuple[PerImage, ImageBatch]:
    """Totals and gradients; nothing is accumulated into anybody's ``grad``."""
    variables = images.detach().requires_grad_()
    with torch.enable_grad():
        totals = objective(variables)
        (gradients,) = torch.autograd.grad(totals.sum(), variables)
    return totals.detach(), gradients


class _Findings:
    """The best of each picture so far, and who is still in the running."""

    def __init__(self, start: ImageBatch) -> None:
        self.active: Bool[Tensor, " b"] = torch.ones_like(start[:, 0, 0, 0], dtype=torch.bool)
        self._best = start
        self._totals = torch.full_like(start[:, 0, 0, 0], torch.inf)
        self._evaluations = torch.zeros_like(self.active, dtype=torch.long)
        self._errors: list[RowError | None] = [None] * len(start)

    def note(self, trial: ImageBatch, totals: PerImage, gradients: ImageBatch) -> None:
        """Take in an evaluation."""
        self._evaluations += self.active
        is_finite = totals.isfinite() & gradients.isfinite().flatten(start_dim=1).all(dim=1)
        self._give_up(self.active & ~is_finite, _non_finite)
        is_best = self.active & (totals < self._totals)
        self._best = torch.where(is_best.view(-1, 1, 1, 1), trial, self._best)
        self._totals = torch.where(is_best, totals, self._totals)

    def give_up_late(self, num_done: int, num_wanted: int) -> None:
        """The time is up for everybody who is still in the running."""
        reason = (
            f"the time for one picture ran out after {num_done} of {num_wanted} evaluations: "
            "allow more (limits.picture_seconds), or fewer pixels or evaluations"
        )
        self._give_up(self.active, lambda _: DeadlineError("", reason))

    def result(self) -> MinimizeResult:
        """What has been found."""
        return MinimizeResult(self._best, self._evaluations.tolist(), self._totals, self._errors)

    def _give_up(self, leaving: Bool[Tensor, " b"], error_after: Callable[[int], RowError]) -> None:
        for index in leaving.nonzero().flatten().tolist():
            self._errors[index] = error_after(int(self._evaluations[index]))
        self.active = self.active & ~leaving


def _non_finite(evaluation: int) -> RowError:
    return NonFiniteError(
        "",
        f"the objective or its gradient is not a finite number at evaluation {evaluation}: "
        "lower style_weight, content_weight or tv_weight, or use other encoder weights",
    )
