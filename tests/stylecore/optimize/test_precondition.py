"""The metric of the first guess of the curvature."""

import torch

from stylecore.optimize.precondition import FrequencyPreconditioner


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_it_is_symmetric():
    first, second = noise(2, 3, 6, 9)
    precondition = FrequencyPreconditioner(first[None])
    one = (second * precondition(first[None])).sum()
    other = (first * precondition(second[None])).sum()
    torch.testing.assert_close(one, other)


def test_it_is_positive_definite():
    basis = torch.eye(3 * 4 * 5, dtype=torch.float64).view(-1, 3, 4, 5)
    matrix = FrequencyPreconditioner(basis)(basis).flatten(1)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_a_flat_picture_is_left_as_it_is():
    flat = torch.full((1, 3, 6, 9), 0.3, dtype=torch.float64)
    torch.testing.assert_close(FrequencyPreconditioner(flat)(flat), flat)


def test_grain_is_damped_more_than_a_gradual_change():
    gradual = torch.linspace(-1, 1, 32, dtype=torch.float64).expand(1, 3, 32, 32)
    grain = gradual[..., torch.randperm(32, generator=torch.Generator().manual_seed(4))]
    precondition = FrequencyPreconditioner(gradual)
    assert precondition(grain).norm() < 0.5 * precondition(gradual).norm()
