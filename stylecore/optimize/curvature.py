"""What L-BFGS remembers: for each picture its own last steps and how the gradient changed.

Pictures of a batch do not share slots: one that rejects a trial must not cost its neighbours a
pair, or they would do something else than alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stylecore.types import ImageBatch, PerImage

_Slots = Float[Tensor, "m b 3 h w"]


class CurvaturePairs:
    """A ring of pairs for each picture.

    Args:
        like: pictures whose shape, type and device to use, shape (b, 3, h, w).
        num_kept: pairs kept of each picture, the last ones.
    """

    def __init__(self, like: ImageBatch, num_kept: int) -> None:
        self._steps: _Slots = like.new_zeros((num_kept, *like.shape))
        self._changes: _Slots = torch.zeros_like(self._steps)
        self._inverse_curvatures: Float[Tensor, "m b"] = like.new_zeros((num_kept, len(like)))
        self._num_seen: Int[Tensor, " b"] = torch.zeros(len(like), dtype=torch.long).to(like.device)

    def append(self, pictures: Bool[Tensor, " b"], step: ImageBatch, change: ImageBatch) -> None:
        """Remember, for those ``pictures``, a step and the gradient's change along it."""
        rows = pictures.nonzero().flatten()
        slots = self._num_seen[rows] % len(self._steps)
        self._steps[slots, rows] = step[rows]
        self._changes[slots, rows] = change[rows]
        self._inverse_curvatures[slots, rows] = 1 / dot(step[rows], change[rows])
        self._num_seen[rows] += 1

    def forget(self, pictures: Bool[Tensor, " b"]) -> None:
        """Drop all pairs of those ``pictures``."""
        self._inverse_curvatures[:, pictures] = 0
        self._num_seen[pictures] = 0

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` of the batch only."""
        self._steps, self._changes = self._steps[:, places], self._changes[:, places]
        self._inverse_curvatures = self._inverse_curvatures[:, places]
        self._num_seen = self._num_seen[places]

    def apply_inverse_hessian(
        self, gradient: ImageBatch, initial: Callable[[ImageBatch], ImageBatch]
    ) -> ImageBatch:
        """The two-loop recursion, for all pictures at once.

        Args:
            gradient: what to multiply, shape (b, 3, h, w).
            initial: the inverse Hessian without any pair.
        """
        num_ages = min(int(self._num_seen.max()), len(self._steps))
        coefficients = []
        for age in range(num_ages):
            step, change, inverse_curvature = self._pair(age)
            coefficient = inverse_curvature * dot(step, gradient)
            gradient = gradient - scaled(change, coefficient)
            coefficients.append(coefficient)
        result = initial(gradient)
        for age in reversed(range(num_ages)):
            step, change, inverse_curvature = self._pair(age)
            correction = coefficients[age] - inverse_curvature * dot(change, result)
            result = result + scaled(step, correction)
        return result

    def _pair(self, age: int) -> tuple[ImageBatch, ImageBatch, PerImage]:
        """Everybody's pair of that age, 0 the newest; unwritten ones count 0."""
        slots = (self._num_seen - 1 - age) % len(self._steps)
        rows = torch.arange(len(slots), device=slots.device)
        at = (slots, rows)
        return self._steps[at], self._changes[at], self._inverse_curvatures[at]


def dot(first: ImageBatch, second: ImageBatch) -> PerImage:
    """Inner product of each picture with its counterpart, shape (b,)."""
    # Not a matrix product: its rounding depends on how many pictures there are.
    return (first * second).flatten(start_dim=1).sum(dim=1)


def as_column(values: Tensor) -> Tensor:
    """One value a picture, shape (b,), to (b, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def scaled(images: ImageBatch, factors: PerImage) -> ImageBatch:
    """Each picture times its own factor."""
    return images * as_column(factors)
