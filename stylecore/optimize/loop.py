"""The loop that changes pixels until an objective is small.

Pictures of a batch are minimised together but each on its own, by L-BFGS or Adam. One that is not
finite, or not made in time, leaves with an error; its neighbours do not notice. What comes back is
the best that was seen, since neither rule ends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from stylecore.errors import JobError
from stylecore.optimize.adam import ProjectedAdam
from stylecore.optimize.findings import Findings, MinimizeResult
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

    def enter(self, pictures: Bool[Tensor, " b"], starts: ImageBatch) -> None:
        """Let new pictures take the places of those ``pictures``."""

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` of the batch only."""


class Minimization:
    """Pictures of one size that are minimised together, evaluation by evaluation.

    Args:
        start: where to begin, clamped to [0, 1], shape (b, 3, h, w); not changed.
        settings: update rule, and the number of evaluations, which is never exceeded.

    Raises:
        JobError: the settings leave the number of evaluations open.
    """

    def __init__(self, start: ImageBatch, settings: OptimizeSettings) -> None:
        if settings.num_evaluations is None:
            raise JobError(
                "num_evaluations is empty: set it, or validate a whole job with a preset"
            )
        self._trial = start.detach().clamp(0, 1)
        self._rule = _update_rule(self._trial, settings)
        self.found = Findings(self._trial, settings.num_evaluations)

    def step(self, objective: Callable[[ImageBatch], PerImage]) -> PerImage:
        """Evaluate everybody once, and move those on who are still in the running.

        Args:
            objective: of the batch, one value a picture, each a function of that picture alone.

        Returns:
            The objective where it was evaluated, shape (b,).
        """
        totals, gradients = _evaluate(objective, self._trial)
        self.found.note(self._trial, totals, gradients)
        if self.found.active.any():
            self._trial = self._rule.propose(totals, gradients, self.found.active)
            self.found.active = self.found.active & ~self._rule.converged
        return totals

    def enter(self, places: Sequence[int], starts: ImageBatch) -> None:
        """Let new pictures take the places of finished ones.

        Args:
            places: distinct places of the batch.
            starts: where they begin, in the order of ``places``, shape (n, 3, h, w).
        """
        begun = self._trial.clone()
        begun[list(places)] = starts.detach().clamp(0, 1)
        self._rule.enter(self.found.at(places), begun)
        self.found.enter(places, begun)
        self._trial = begun

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the pictures at those ``places`` of the batch only, in that order."""
        chosen = torch.tensor(list(places), dtype=torch.long, device=self._trial.device)
        self._trial = self._trial[chosen]
        self._rule.keep(chosen)
        self.found.keep(chosen)


def minimize(
    objective: Callable[[ImageBatch], PerImage],
    start: ImageBatch,
    settings: OptimizeSettings,
    watch: Watch,
) -> MinimizeResult:
    """Lower an objective over a batch of pictures in [0, 1] that stays as it is.

    Args:
        objective: as for ``Minimization.step``.
        start: as for ``Minimization``.
        settings: as for ``Minimization``.
        watch: progress, with places in the batch as keys; stop flag; deadline.

    Raises:
        RunStoppedError: the watch's stop flag was set.
        JobError: the settings leave the number of evaluations open.
    """
    batch = Minimization(start, settings)
    places = range(len(start))
    while batch.found.active.any():
        watch.check_stop()
        if watch.is_late():
            batch.found.give_up_late(batch.found.active)
            break
        taking_part = batch.found.active
        totals = batch.step(objective)
        report(watch, batch, totals, {place: place for place in places if taking_part[place]})
    return batch.found.result(places)


def report(watch: Watch, batch: Minimization, totals: PerImage, key_at: Mapping[int, int]) -> None:
    """Tell a watch what an evaluation came to, for the pictures at those places of the batch."""
    if watch.on_evaluation is None:
        return
    evaluations, values = batch.found.evaluations.tolist(), totals.tolist()
    for place, key in key_at.items():
        watch.on_evaluation(key, evaluations[place], values[place])


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
