"""Fréchet distance between Gaussian fits of features (Dowson and Landau 1982; Heusel et al. 2017).

Departure: it is given in units of the reference's variance (the trace of its covariance), so that
it does not depend on how large a network's activations happen to be: a picture without any
texture is about 1 away, plus what its mean differs by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Covariance = Float[Tensor, "c c"]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and mean product of features, in double precision on the CPU: both combine linearly."""

    mean: Float[Tensor, " c"]
    product: Covariance

    def covariance(self) -> Covariance:
        """Shape (c, c), positive semi-definite but for rounding."""
        return self.product - torch.outer(self.mean, self.mean)


class MomentSum:
    """Adds up features part by part, so that not all of them have to be in memory at once."""

    def __init__(self, num_channels: int) -> None:
        self._count = 0
        self._sum = torch.zeros(num_channels, dtype=torch.float64)
        self._products = torch.zeros(num_channels, num_channels, dtype=torch.float64)

    def add(self, features: Float[Tensor, "c n"]) -> None:
        """Add ``n`` features, shape (c, n), on any device."""
        self._count += features.shape[1]
        self._sum += features.sum(dim=1).cpu().double()
        self._products += (features @ features.mT).cpu().double()

    def moments(self) -> Moments:
        """Of everything added; at least one feature."""
        return Moments(self._sum / self._count, self._products / self._count)


def average_moments(parts: Sequence[Moments]) -> Moments:
    """Moments of several sets together, each of equal weight; at least one."""
    return Moments(
        torch.stack([part.mean for part in parts]).mean(dim=0),
        torch.stack([part.product for part in parts]).mean(dim=0),
    )


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A fit to reference features, with what a distance from it needs."""

    mean: Float[Tensor, " c"]
    root: Covariance
    variance: float

    @classmethod
    def fit(cls, reference: Moments) -> Gaussian:
        """The Gaussian of those moments."""
        covariance = reference.covariance()
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
        variance = max(covariance.trace().item(), torch.finfo(torch.float32).tiny)
        return cls(reference.mean, root, variance)

    def distance(self, moments: Moments) -> float:
        """Squared Fréchet distance in units of the reference's variance; 0 is the same Gaussian."""
        covariance = moments.covariance()
        shared = torch.linalg.eigvalsh(self.root @ covariance @ self.root).clamp(min=0).sqrt()
        squares: Tensor = (moments.mean - self.mean).square().sum() + covariance.trace()
        distance = squares + self.root.square().sum() - 2 * shared.sum()
        return max(0.0, float(distance)) / self.variance
