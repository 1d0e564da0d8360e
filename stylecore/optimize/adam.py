"""Adam (Kingma and Ba 2015, arXiv:1412.6980) on pictures, projected on [0, 1] after each step."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from stylecore.types import ImageBatch, PerImage


class ProjectedAdam:
    """Proposes where to evaluate next. Adam goes pixel by pixel, so pictures are independent.

    Args:
        start: first trial, in [0, 1], shape (b, 3, h, w).
        learning_rate: in units of [0, 1].
    """

    def __init__(self, start: ImageBatch, learning_rate: float) -> None:
        self._pixels = start.clone()
        self._adam = torch.optim.Adam([self._pixels], lr=learning_rate)
        self.converged: Bool[Tensor, " b"] = torch.zeros_like(start[:, 0, 0, 0], dtype=torch.bool)

    @torch.no_grad()
    def propose(
        self, totals: PerImage, gradients: ImageBatch, active: Bool[Tensor, " b"]
    ) -> ImageBatch:
        """As ``BatchedLBFGS.propose``; the totals are not asked for."""
        del totals
        self._pixels.grad = torch.where(active.view(-1, 1, 1, 1), gradients, 0)
        self._adam.step()
        return self._pixels.clamp_(0, 1).clone()
