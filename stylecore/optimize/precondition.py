"""The metric in which L-BFGS measures a first guess of the curvature: coarse moves are cheap.

Gram matrices of a network's layers curve far less along smooth changes of a picture than along
fine grain, so plain gradients are mostly grain and big shapes come last. Dividing by frequency
evens that out. It is the same as optimizing the coefficients of a frequency basis, except that the
pixels stay the variables, so that their bounds can be kept exactly.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stylecore.types import ImageBatch

# Below this the gain hardly grows further: waves longer than 400 px are as cheap as the mean color.
_CORNER_CYCLES_PER_PX = 0.0025


class FrequencyPreconditioner:
    """Multiplies the amplitudes of a picture's waves by 1 / (1 + frequency / corner).

    Symmetric and positive definite, so that a descent direction stays one. Waves are those of the
    discrete cosine transform, as two matrix products: no wrapping round at the borders, any size,
    any device, and a hundredth of what the network costs.

    Args:
        like: pictures whose size, type and device to use, shape (b, 3, h, w).
    """

    def __init__(self, like: ImageBatch) -> None:
        height, width = like.shape[-2:]
        self._rows = _cosine_basis(height).to(like)
        self._columns = _cosine_basis(width).to(like)
        self._gains = _gains(height, width).to(like)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Shape (b, 3, h, w) to the same."""
        amplitudes = self._rows @ images @ self._columns.mT
        return self._rows.mT @ (amplitudes * self._gains) @ self._columns


def _cosine_basis(num_samples: int) -> Float[Tensor, "n n"]:
    """Orthonormal DCT-II: row k is the wave of k / (2 n) cycles per sample."""
    order = torch.arange(num_samples, dtype=torch.float64)
    waves = torch.cos(math.pi / num_samples * torch.outer(order, order + 0.5))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / num_samples)


def _gains(height: int, width: int) -> Float[Tensor, "h w"]:
    down = torch.arange(height, dtype=torch.float64).unsqueeze(1) / (2 * height)
    across = torch.arange(width, dtype=torch.float64) / (2 * width)
    return 1 / (1 + torch.hypot(down, across) / _CORNER_CYCLES_PER_PX)
