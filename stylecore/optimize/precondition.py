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
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stylecore.types import ImageBatch

# Below this the gain hardly grows further: waves longer than 400 px are as cheap as the mean color.
_CORNER_CYCLES_PER_PX = 0.0025
_NUM_OCTAVES = 9  # the last one, of waves of 1.4 px, down to waves of 360 px
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
        self._octaves = _octaves(height, width).to(like)
        self._prior = _prior().to(like.device)
        self._fitted = self._prior.repeat(len(like), 1, 1, 1)
        self._steps: _Moments = torch.zeros_like(self._fitted)
        self._changes: _Moments = torch.zeros_like(self._fitted)
        self._gains = self._spread()

    def __call__(self, images: ImageBatch) -> ImageBatch:
        """Shape (b, 3, h, w) to the same."""
        amplitudes = (self._gains * self._amplitudes(images).unsqueeze(1)).sum(dim=2)
        return self._rows.mT @ amplitudes @ self._columns

    def learn(self, pictures: Bool[Tensor, " b"], step: ImageBatch, change: ImageBatch) -> None:
        """Take in, for those ``pictures``, a step and the gradient's change along it."""
        if not pictures.any():
            return
        chosen = pictures.view(-1, 1, 1, 1)
        curvature = (step * change).flatten(start_dim=1).sum(dim=1).double().view(-1, 1, 1, 1)
        for moments, images in ((self._steps, step), (self._changes, change)):
            updated = _MEMORY * moments + self._moments(images) / curvature
            moments.copy_(torch.where(chosen, updated, moments))
        # Not of the others: they may have no pair yet.
        known = (self._steps[pictures], self._changes[pictures])
        self._fitted[pictures] = _fit(*known, self._prior)
        self._gains = self._spread()

    def forget(self, pictures: Bool[Tensor, " b"]) -> None:
        """Be to those ``pictures`` as at first."""
        if not pictures.any():
            return
        self._steps[pictures] = 0
        self._changes[pictures] = 0
        self._fitted[pictures] = self._prior
        self._gains = self._spread()

    def keep(self, places: Int[Tensor, " n"]) -> None:
        """Go on with the pictures at those ``places`` of the batch only."""
        self._steps, self._changes = self._steps[places], self._changes[places]
        self._fitted = self._fitted[places]
        self._gains = self._spread()

    def _spread(self) -> Float[Tensor, "b 3 3 h w"]:
        """Gains from octaves to waves; of all pictures, since rounding depends on how many."""
        return torch.einsum("bnij,nhw->bijhw", self._fitted.to(self._octaves), self._octaves)

    def _amplitudes(self, images: ImageBatch) -> ImageBatch:
        return self._rows @ images @ self._columns.mT

    def _moments(self, images: ImageBatch) -> _Moments:
        waves = self._amplitudes(images)
        flat = waves.flatten(start_dim=2)
        # One octave after the other: all at once would take nine times the memory.
        moments = [(flat * octave.flatten()) @ flat.mT for octave in self._octaves]
        return torch.stack(moments, dim=1).double()


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


def _octaves(height: int, width: int) -> Float[Tensor, "n h w"]:
    """How far each wave belongs to each octave, from the highest down; it adds up to 1."""
    down = torch.arange(height, dtype=torch.float64).unsqueeze(1) / (2 * height)
    across = torch.arange(width, dtype=torch.float64) / (2 * width)
    centers = _octave_centers()
    frequencies = torch.hypot(down, across).clamp(min=centers[-1])
    position = (centers[0] / frequencies).log2()
    order = torch.arange(_NUM_OCTAVES, dtype=torch.float64).view(-1, 1, 1)
    return (1 - (position - order).abs()).clamp(min=0)


def _prior() -> Float[Tensor, "n 3 3"]:
    """Gain of each octave before anything is known: that of all colors alike."""
    gains = 1 / (1 + _octave_centers() / _CORNER_CYCLES_PER_PX)
    return gains.view(-1, 1, 1) * torch.eye(3, dtype=torch.float64)


def _octave_centers() -> Float[Tensor, " n"]:
    """In cycles per pixel, from the diagonal's highest down."""
    return math.sqrt(0.5) / 2 ** torch.arange(_NUM_OCTAVES, dtype=torch.float64)
