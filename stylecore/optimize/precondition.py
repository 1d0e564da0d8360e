"""The metric in which L-BFGS measures a first guess of the curvature: coarse moves are cheap.

Gram matrices of a network's layers curve far less along smooth changes of a picture than along
fine grain, and unlike along different colors, so plain gradients are mostly grain and big shapes
come last. Multiplying by the inverse of the curvature, wave by wave, evens that out. It is the same
as optimizing the coefficients of a frequency basis, except that the pixels stay the variables, so
that their bounds can be kept exactly.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stylecore.types import ImageBatch

# Below this the gain hardly grows further: waves longer than 400 px are as cheap as the mean color.
_CORNER_CYCLES_PER_PX = 0.0025
_NUM_OCTAVES = 9  # the last one, of waves of 1.4 px, down to waves of 360 px
_HIGHEST_CYCLES_PER_PX = math.sqrt(0.5)
_MEMORY = 0.9  # how much of what was learnt is left after another pair
_PRIOR = 0.1  # how much the first guess counts, in units of an octave's average share

_Moments = Float[Tensor, "b n 3 3"]


class FrequencyPreconditioner:
    """Multiplies the amplitudes of a picture's waves by a gain for each octave, across colors.

    Symmetric and positive definite, so that a descent direction stays one. It starts as
    1 / (1 + frequency / corner) and learns: an octave's gain is the 3 x 3 matrix H that maps the
    second moments Y of how the gradient changed to those S of the steps that did it, H Y H = S,
    over the last pairs of a picture. Waves are those of the discrete cosine transform, as two
    matrix products: no wrapping round at the borders, any size, any device, and a hundredth of
    what the network costs.

    Args:
        like: pictures whose size, type and device to use, shape (b, 3, h, w).
    """

    def __init__(self, like: ImageBatch) -> None:
        height, width = like.shape[-2:]
        self._rows = _cosine_basis(height).to(like)
        self._columns = _cosine_basis(width).to(like)
        frequencies = _frequencies(height, width)
        self._octaves = _octaves(frequencies).to(like)
        gains = (1 / (1 + frequencies / _CORNER_CYCLES_PER_PX)).to(like)
        identity = torch.eye(3).to(like)
        self._gains = (gains * identity[..., None, None]).repeat(len(like), 1, 1, 1, 1)
        centers = _HIGHEST_CYCLES_PER_PX * 2 ** -torch.arange(_NUM_OCTAVES, dtype=torch.float64)
        prior = (1 / (1 + centers / _CORNER_CYCLES_PER_PX)).to(like.device)
        self._prior = prior[:, None, None] * identity.double()
        self._steps: _Moments = self._prior.new_zeros((len(like), _NUM_OCTAVES, 3, 3))
        self._changes: _Moments = torch.zeros_like(self._steps)

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Shape (b, 3, h, w) to the same."""
        amplitudes = (self._gains * self._amplitudes(images).unsqueeze(1)).sum(dim=2)
        return self._rows.mT @ amplitudes @ self._columns

    def learn(self, pictures: Bool[Tensor, " b"], step: ImageBatch, change: ImageBatch) -> None:
        """Take in, for those ``pictures``, a step and the gradient's change along it."""
        rows = pictures.nonzero().flatten()
        if not len(rows):
            return
        curvature = (step * change).flatten(start_dim=1).sum(dim=1).double()[rows].view(-1, 1, 1, 1)
        for moments, images in ((self._steps, step[rows]), (self._changes, change[rows])):
            moments[rows] = _MEMORY * moments[rows] + self._moments(images) / curvature
        fitted = _fit(self._steps[rows], self._changes[rows], self._prior)
        gains = torch.einsum("bnij,nhw->bijhw", fitted.to(step.dtype), self._octaves)
        self._gains[rows] = gains

    def _amplitudes(self, images: ImageBatch) -> ImageBatch:
        return self._rows @ images @ self._columns.mT

    def _moments(self, images: ImageBatch) -> _Moments:
        waves = self._amplitudes(images)
        return torch.einsum("nhw,bihw,bjhw->bnij", self._octaves, waves, waves).double()


def _fit(steps: _Moments, changes: _Moments, prior: Float[Tensor, "n 3 3"]) -> _Moments:
    """For each octave the matrix H with H Y H = S, drawn a little towards a multiple of the prior.

    It is Y^-1/2 (Y^1/2 S Y^1/2)^1/2 Y^-1/2, the geometric mean of S and Y^-1.
    """
    inverse_prior = torch.linalg.inv(prior)
    long = (steps * inverse_prior).sum(dim=(1, 2, 3), keepdim=True)
    steep = (changes * prior).sum(dim=(1, 2, 3), keepdim=True)
    weight = _PRIOR * (long * steep).sqrt() / (3 * len(prior))
    scale = (long / steep).sqrt()
    steps = steps + weight * scale * prior
    changes = changes + weight / scale * inverse_prior
    root, inverse_root = _power(changes, 0.5), _power(changes, -0.5)
    return inverse_root @ _power(root @ steps @ root, 0.5) @ inverse_root


def _power(matrices: _Moments, exponent: float) -> _Moments:
    values, vectors = torch.linalg.eigh(matrices)
    powers = values.clamp(min=torch.finfo(values.dtype).tiny).pow(exponent)
    result: _Moments = vectors * powers.unsqueeze(-2) @ vectors.mT
    return result


def _cosine_basis(num_samples: int) -> Float[Tensor, "n n"]:
    """Orthonormal DCT-II: row k is the wave of k / (2 n) cycles per sample."""
    order = torch.arange(num_samples, dtype=torch.float64)
    waves = torch.cos(math.pi / num_samples * torch.outer(order, order + 0.5))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / num_samples)


def _frequencies(height: int, width: int) -> Float[Tensor, "h w"]:
    """Of each wave, in cycles per pixel."""
    down = torch.arange(height, dtype=torch.float64).unsqueeze(1) / (2 * height)
    across = torch.arange(width, dtype=torch.float64) / (2 * width)
    return torch.hypot(down, across)


def _octaves(frequencies: Float[Tensor, "h w"]) -> Float[Tensor, "n h w"]:
    """How far each wave belongs to each octave, from the highest down; they overlap and add to 1."""
    lowest = _HIGHEST_CYCLES_PER_PX / 2 ** (_NUM_OCTAVES - 1)
    position = -(frequencies.clamp(min=lowest) / _HIGHEST_CYCLES_PER_PX).log2()
    order = torch.arange(_NUM_OCTAVES, dtype=torch.float64).view(-1, 1, 1)
    return (1 - (position - order).abs()).clamp(min=0)
