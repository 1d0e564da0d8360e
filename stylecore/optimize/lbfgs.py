"""L-BFGS on pictures in [0, 1], a batch at a time, every picture on its own.

The two-loop recursion of Nocedal and Wright 2006, algorithm 7.4, with inner products per picture:
each has its own curvature pairs, scale, step length and convergence, so that a picture does the
same alone or in a batch, but for rounding. Departures:

* Pixels at a bound whose gradient pushes outwards are held, and every trial is projected on
  [0, 1]; the pairs are taken between projected points (cf. Schmidt et al. 2009).
* The initial inverse Hessian is a multiple of an operator that learns, not of the identity.
* A trial is accepted if the objective falls enough; the step is 1 unless it did not. A line search
  for the curvature condition would cost evaluations, which are all that costs anything here.
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from stylecore.optimize.curvature import CurvaturePairs, as_column, dot, scaled
from stylecore.types import ImageBatch, PerImage

_HISTORY = 20  # pairs; 100, as the tutorial has, gained nothing and needs five times the memory
_FIRST_STEP_RMS = 0.05  # of all pixels, in units of [0, 1]
_SUFFICIENT_DECREASE = 1e-4
_SHORTEST_CUT, _LONGEST_CUT = 0.1, 0.5
_MAX_CUTS = 8
_MIN_CURVATURE_COSINE = 1e-8
# What there is of each picture, besides its pairs and what the preconditioner knows.
_STATE = (
    "_trial", "_point", "_gradient", "_direction",
    "_total", "_step_length", "_scale", "_num_cuts", "converged",
)  # fmt: skip


class Preconditioner(Protocol):
    """A symmetric positive definite operator: how far to go for a unit of gradient."""

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Shape (b, 3, h, w) to the same."""

    def learn(self, pictures: Bool[Tensor, " b"], step: ImageBatch, change: ImageBatch) -> None:
        """Take in, for those ``pictures``, a step and the gradient's change along it."""

    def forget(self, pictures: Bool[Tensor, " b"]) -> None:
        """Be to those ``pictures`` as at first."""

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` of the batch only."""


class BatchedLBFGS:
    """Proposes where to evaluate next.

    Args:
        start: first trial, in [0, 1], shape (b, 3, h, w).
        precondition: the inverse Hessian without any pair, up to a factor; it is shown every pair.
    """

    def __init__(self, start: ImageBatch, precondition: Preconditioner) -> None:
        self._precondition = precondition
        self._pairs = CurvaturePairs(start, _HISTORY)
        self._trial = self._point = start
        self._gradient = self._direction = torch.zeros_like(start)
        self._total = torch.full_like(start[:, 0, 0, 0], torch.inf)
        self._step_length = torch.ones_like(self._total)
        self._scale = torch.zeros_like(self._total)  # 0: nothing learnt since the last restart
        self._num_cuts = torch.zeros_like(self._total, dtype=torch.long)
        self.converged: Bool[Tensor, " b"] = torch.zeros_like(self._total, dtype=torch.bool)

    def propose(
        self, totals: PerImage, gradients: ImageBatch, active: Bool[Tensor, " b"]
    ) -> ImageBatch:
        """Next trial, from the objective at the last one.

        Args:
            totals: objective at the last trial, shape (b,).
            gradients: its gradient there, shape (b, 3, h, w).
            active: pictures to go on with; what the others have is ignored, and they stay.

        Returns:
            Where to evaluate next, in [0, 1], shape (b, 3, h, w).
        """
        active = active & ~self.converged
        accepted = active & self._has_decreased(totals)
        self._cut_steps(active & ~accepted, totals)
        self._learn(accepted, gradients)
        self._move(accepted, totals, gradients)
        self._turn(accepted | self._restart(active))
        step = scaled(self._direction, self._step_length)
        trial = (self._point + step).clamp_(0, 1)
        self._trial = torch.where(as_column(active), trial, self._point)
        return self._trial

    def enter(self, pictures: Bool[Tensor, " b"], starts: ImageBatch) -> None:
        """Let new pictures take the places of those ``pictures``.

        Args:
            pictures: which places, shape (b,).
            starts: first trials of the new ones; at other places it means nothing.
        """
        there = as_column(pictures)
        self._trial = torch.where(there, starts, self._trial)
        self._point = torch.where(there, starts, self._point)
        self._gradient = torch.where(there, 0, self._gradient)
        self._direction = torch.where(there, 0, self._direction)
        self._total = torch.where(pictures, torch.inf, self._total)
        self._step_length = torch.where(pictures, 1, self._step_length)
        self._num_cuts = torch.where(pictures, 0, self._num_cuts)
        self.converged = self.converged & ~pictures
        self._forget(pictures)

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` of the batch only."""
        for name in _STATE:
            setattr(self, name, getattr(self, name)[places])
        self._pairs.keep(places)
        self._precondition.keep(places)

    def _has_decreased(self, totals: PerImage) -> Bool[Tensor, " b"]:
        allowed = _SUFFICIENT_DECREASE * self._slope().clamp(max=0)
        return totals <= self._total + allowed

    def _slope(self) -> PerImage:
        """What a linear objective would have changed by between the point and the trial."""
        return dot(self._gradient, self._trial - self._point)

    def _cut_steps(self, rejected: Bool[Tensor, " b"], totals: PerImage) -> None:
        """Shorten to the minimum of the parabola through both totals and the slope."""
        slope = self._slope()
        cut = -slope / (2 * (totals - self._total - slope))
        cut = cut.nan_to_num(_LONGEST_CUT).clamp(_SHORTEST_CUT, _LONGEST_CUT)
        self._step_length = torch.where(rejected, self._step_length * cut, self._step_length)
        self._num_cuts += rejected

    def _learn(self, accepted: Bool[Tensor, " b"], gradients: ImageBatch) -> None:
        step, change = self._trial - self._point, gradients - self._gradient
        curvature = dot(step, change)
        smallest = _MIN_CURVATURE_COSINE * (dot(step, step) * dot(change, change)).sqrt()
        smallest = smallest.clamp(min=torch.finfo(smallest.dtype).tiny)  # it is divided by
        useful = accepted & (curvature > smallest)  # not at the first trial: its step is 0
        self._pairs.append(useful, step, change)
        self._precondition.learn(useful, step, change)
        scale = curvature / dot(change, self._precondition(change))
        self._scale = torch.where(useful, scale, self._scale)

    def _move(self, accepted: Bool[Tensor, " b"], totals: PerImage, gradients: ImageBatch) -> None:
        there = as_column(accepted)
        self._point = torch.where(there, self._trial, self._point)
        self._gradient = torch.where(there, gradients, self._gradient)
        self._total = torch.where(accepted, totals, self._total)

    def _restart(self, active: Bool[Tensor, " b"]) -> Bool[Tensor, " b"]:
        """Forget the curvature of pictures that got stuck; stuck without any, they are done."""
        stuck = active & (self._num_cuts >= _MAX_CUTS)
        self.converged = self.converged | (stuck & (self._scale == 0))
        self._forget(stuck)
        return stuck

    def _forget(self, pictures: Bool[Tensor, " b"]) -> None:
        self._scale = torch.where(pictures, 0, self._scale)
        self._pairs.forget(pictures)
        self._precondition.forget(pictures)

    def _turn(self, turning: Bool[Tensor, " b"]) -> None:
        """A new direction, at full length, for those that moved or start again."""
        if not turning.any():
            return
        direction = self._quasi_newton_direction()
        self.converged = self.converged | (turning & (dot(direction, direction) == 0))
        self._direction = torch.where(as_column(turning), direction, self._direction)
        self._step_length = torch.where(turning, 1, self._step_length)
        self._num_cuts = torch.where(turning, 0, self._num_cuts)

    def _quasi_newton_direction(self) -> ImageBatch:
        point, gradient = self._point, self._gradient
        is_free = ~(((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0)))
        result = self._pairs.apply_inverse_hessian(gradient * is_free, self._initial_step)
        return -result * is_free

    def _initial_step(self, gradient: ImageBatch) -> ImageBatch:
        smooth = self._precondition(gradient)
        rms = smooth.square().mean(dim=(1, 2, 3)).sqrt()
        first_scale = torch.where(rms > 0, _FIRST_STEP_RMS / rms, 0)
        return scaled(smooth, torch.where(self._scale > 0, self._scale, first_scale))
