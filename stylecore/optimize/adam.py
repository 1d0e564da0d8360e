"""Adam (Kingma and Ba 2015, arXiv:1412.6980) on pictures, projected on [0, 1] after each step.

Unlike torch's, every picture counts its own steps, so that one can enter a batch later.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from stylecore.types import ImageBatch, PerImage

_DECAYS: Final = (0.9, 0.999)
_EPSILON: Final = 1e-8


class ProjectedAdam:
    """Proposes where to evaluate next. Adam goes pixel by pixel, so pictures are independent.

    Args:
        start: first trial, in [0, 1], shape (b, 3, h, w).
        learning_rate: in units of [0, 1].
    """

    def __init__(self, start: ImageBatch, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._pixels = start
        self._means = torch.zeros_like(start)
        self._squares = torch.zeros_like(start)
        self.converged: Bool[Tensor, " b"] = torch.zeros_like(start[:, 0, 0, 0], dtype=torch.bool)
        self._num_steps = torch.zeros_like(self.converged, dtype=torch.long)

    def propose(
        self, totals: PerImage, gradients: ImageBatch, active: Bool[Tensor, " b"]
    ) -> ImageBatch:
        """As ``BatchedLBFGS.propose``; the totals are not asked for."""
        del totals
        chosen = active.view(-1, 1, 1, 1)
        gradients = torch.where(chosen, gradients, 0)
        self._num_steps = self._num_steps + active
        self._means = self._means.lerp(gradients, 1 - _DECAYS[0])
        self._squares = self._squares.lerp(gradients.square(), 1 - _DECAYS[1])
        mean_bias, square_bias = (
            1 - decay ** self._num_steps.view(-1, 1, 1, 1) for decay in _DECAYS
        )
        slope = self._means / mean_bias / ((self._squares / square_bias).sqrt() + _EPSILON)
        stepped = (self._pixels - self._learning_rate * slope).clamp(0, 1)
        self._pixels = torch.where(chosen, stepped, self._pixels)
        return self._pixels

    def enter(self, pictures: Bool[Tensor, " b"], starts: ImageBatch) -> None:
        """As ``BatchedLBFGS.enter``."""
        chosen = pictures.view(-1, 1, 1, 1)
        self._pixels = torch.where(chosen, starts, self._pixels)
        self._means = torch.where(chosen, 0, self._means)
        self._squares = torch.where(chosen, 0, self._squares)
        self._num_steps = torch.where(pictures, 0, self._num_steps)

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """As ``BatchedLBFGS.keep``."""
        self._pixels, self._means = self._pixels[places], self._means[places]
        self._squares, self._num_steps = self._squares[places], self._num_steps[places]
        self.converged = self.converged[places]
