"""Objectives with a known minimum, one value a picture."""

import pytest
import torch

from stylecore.types import ImageBatch, PerImage


class Quadratic:
    """Curvatures from 1 to 1,000 around targets, of which some lie outside [0, 1]."""

    def __init__(self, num_images: int) -> None:
        generator = torch.Generator().manual_seed(1)
        shape = (num_images, 3, 8, 8)
        self.curvature = 10 ** (3 * torch.rand(shape, generator=generator, dtype=torch.float64))
        self.target = 1.4 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.2

    def __call__(self, images: ImageBatch) -> PerImage:
        return (self.curvature * (images - self.target) ** 2).flatten(1).sum(dim=1)

    def minimum(self) -> PerImage:
        return self(self.target.clamp(0, 1))

    def select(self, indices: list[int]) -> "Quadratic":
        part = Quadratic(1)
        part.curvature, part.target = self.curvature[indices], self.target[indices]
        return part


@pytest.fixture
def quadratic() -> Quadratic:
    return Quadratic(3)


@pytest.fixture
def grey() -> ImageBatch:
    return torch.full((3, 3, 8, 8), 0.5, dtype=torch.float64)
