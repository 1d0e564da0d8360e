"""The metric of the first guess of the curvature."""

import torch

from stylecore.optimize.precondition import FrequencyPreconditioner

EVERYBODY = torch.tensor([True])


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


def test_a_flat_picture_stays_flat():
    flat = torch.full((1, 3, 6, 9), 0.3, dtype=torch.float64)
    result = FrequencyPreconditioner(flat)(flat)
    torch.testing.assert_close(result, result[0, 0, 0, 0].expand_as(flat))


def test_grain_is_damped_more_than_a_gradual_change():
    gradual = torch.linspace(-1, 1, 32, dtype=torch.float64).expand(1, 3, 32, 32)
    grain = gradual[..., torch.randperm(32, generator=torch.Generator().manual_seed(4))]
    precondition = FrequencyPreconditioner(gradual)
    assert precondition(grain).norm() < 0.5 * precondition(gradual).norm()


def color_curvature(steps: torch.Tensor) -> torch.Tensor:
    """A quadratic objective that curves differently along red, green and blue, and mixes them."""
    curvatures = torch.tensor([[9.0, 2.0, 1.0], [2.0, 3.0, 0.5], [1.0, 0.5, 1.0]])
    return torch.einsum("ij,bjhw->bihw", curvatures.double(), steps)


def taught(steps: torch.Tensor) -> FrequencyPreconditioner:
    precondition = FrequencyPreconditioner(steps[:1])
    for step in steps.split(1):
        precondition.learn(EVERYBODY, step, color_curvature(step))
    return precondition


def test_the_curvature_of_colors_is_learnt():
    grain = torch.ones(32, 32, dtype=torch.float64)
    grain[::2, 1::2], grain[1::2, ::2] = -1, -1
    blue = torch.tensor([0.0, 0, 1], dtype=torch.float64).view(1, 3, 1, 1) * grain
    precondition = taught(noise(40, 3, 32, 32))
    recovered = precondition(color_curvature(blue))
    assert torch.cosine_similarity(recovered.flatten(), blue.flatten(), dim=0) > 0.95


def test_what_was_learnt_is_symmetric_and_positive_definite():
    precondition = taught(noise(5, 3, 4, 5))
    basis = torch.eye(3 * 4 * 5, dtype=torch.float64).view(-1, 3, 4, 5)
    matrix = torch.cat([precondition(wave[None]) for wave in basis]).flatten(1)
    torch.testing.assert_close(matrix, matrix.mT)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_a_picture_learns_from_its_own_steps_alone():
    steps = noise(2, 3, 8, 8)
    both = FrequencyPreconditioner(steps)
    changes = color_curvature(steps)
    changes[1] = torch.nan
    both.learn(torch.tensor([True, False]), steps, changes)
    alone = FrequencyPreconditioner(steps[:1])
    alone.learn(EVERYBODY, steps[:1], changes[:1])
    untaught = FrequencyPreconditioner(steps[1:])
    torch.testing.assert_close(both(steps), torch.cat([alone(steps[:1]), untaught(steps[1:])]))


def test_a_picture_that_forgets_is_as_at_first():
    steps = noise(2, 3, 8, 8)
    both = FrequencyPreconditioner(steps)
    fresh = both(steps)
    both.learn(torch.tensor([True, True]), steps, color_curvature(steps))
    taught_result = both(steps)
    both.forget(torch.tensor([False, True]))
    torch.testing.assert_close(both(steps), torch.stack([taught_result[0], fresh[1]]))
