"""L-BFGS on objectives with a known minimum."""

import torch

from stylecore.optimize.lbfgs import BatchedLBFGS
from stylecore.types import ImageBatch, PerImage


class Unit:
    """The identity, which learns nothing but notes what it is told, picture by picture."""

    def __init__(self) -> None:
        self.learnt: list[tuple[list[bool], ImageBatch, ImageBatch]] = []
        self.forgotten: list[list[bool]] = []

    def __call__(self, images: ImageBatch) -> ImageBatch:
        return images.clone()

    def learn(self, pictures, step, change) -> None:
        self.learnt.append((pictures.tolist(), step, change))

    def forget(self, pictures) -> None:
        self.forgotten.append(pictures.tolist())


def run(objective, start: ImageBatch, num_evaluations: int) -> tuple[ImageBatch, list[PerImage]]:
    """Last trial, and the totals of all evaluations."""
    rule = BatchedLBFGS(start, Unit())
    trial, totals = start, []
    for _ in range(num_evaluations):
        variables = trial.clone().requires_grad_()
        total = objective(variables)
        (gradients,) = torch.autograd.grad(total.sum(), variables)
        totals.append(total.detach())
        active = torch.ones(len(start), dtype=torch.bool)
        trial = rule.propose(totals[-1], gradients, active)
    return trial, totals


def rosenbrock(images: ImageBatch) -> PerImage:
    """Its minimum, 0, is at 0.5 in every channel, at the end of a curved valley."""
    first, second = 2 * images[:, 0], 2 * images[:, 1]
    valley = (1 - first) ** 2 + 100 * (second - first**2) ** 2
    return (valley + (images[:, 2] - 0.5) ** 2).flatten(1).sum(dim=1)


def test_a_quadratic_with_bounds_is_solved(quadratic, grey):
    _, totals = run(quadratic, grey, 200)
    torch.testing.assert_close(totals[-1], quadratic.minimum(), rtol=1e-6, atol=0)


def test_rosenbrocks_valley_is_followed_to_its_end():
    start = torch.full((1, 3, 2, 2), 0.1, dtype=torch.float64)
    _, totals = run(rosenbrock, start, 150)
    assert min(total.item() for total in totals) < 1e-8


def test_every_trial_is_within_bounds(quadratic, grey):
    rule = BatchedLBFGS(grey, Unit())
    everybody = torch.ones(3, dtype=torch.bool)
    trial = grey
    for _ in range(30):
        gradients = 2 * quadratic.curvature * (trial - quadratic.target)
        trial = rule.propose(quadratic(trial), gradients, everybody)
        assert trial.min() >= 0
        assert trial.max() <= 1


def test_a_picture_does_the_same_alone_and_in_a_batch(quadratic, grey):
    _, together = run(quadratic, grey, 40)
    _, alone = run(quadratic.select([1]), grey[:1], 40)
    together_1 = torch.stack(together)[:, 1]
    torch.testing.assert_close(torch.stack(alone)[:, 0], together_1, rtol=1e-9, atol=1e-9)


def test_permuting_the_batch_permutes_the_results(quadratic, grey):
    order = [2, 0, 1]
    _, totals = run(quadratic, grey, 40)
    _, permuted = run(quadratic.select(order), grey, 40)
    expected = torch.stack(totals)[:, order]
    torch.testing.assert_close(torch.stack(permuted), expected, rtol=1e-9, atol=1e-9)


def test_one_picture_cutting_its_steps_does_not_slow_the_others(quadratic, grey):
    def with_a_cliff(images: ImageBatch) -> PerImage:
        cliff = torch.tensor([0, 1e6, 0], dtype=torch.float64)
        return quadratic(images) + cliff * ((images - 0.5) ** 4).flatten(1).sum(dim=1)

    _, calm = run(quadratic, grey, 40)
    _, cliffed = run(with_a_cliff, grey, 40)
    falls = [now[1] <= before[1] for before, now in zip(cliffed, cliffed[1:], strict=False)]
    assert not all(falls)
    torch.testing.assert_close(torch.stack(cliffed)[:, [0, 2]], torch.stack(calm)[:, [0, 2]])


def test_a_picture_at_its_minimum_has_converged():
    rule = BatchedLBFGS(torch.full((2, 3, 4, 4), 0.5), Unit())
    gradients = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    rule.propose(torch.ones(2), gradients, torch.ones(2, dtype=torch.bool))
    assert rule.converged.tolist() == [True, False]


def test_a_picture_whose_objective_only_rises_is_given_up_as_converged():
    start = torch.full((1, 3, 4, 4), 0.5)
    rule = BatchedLBFGS(start, Unit())
    for total in range(100):
        rule.propose(torch.tensor([float(total)]), torch.ones_like(start), torch.tensor([True]))
    assert rule.converged.item()


def test_a_misleading_curvature_pair_is_forgotten_when_no_step_helps():
    """After one good step the gradient lies about the total; a restart is a first step again."""
    start = torch.full((1, 3, 4, 4), 0.5)
    rule = BatchedLBFGS(start, Unit())
    active = torch.tensor([True])
    first = rule.propose(torch.tensor([10.0]), torch.ones_like(start), active)
    rule.propose(torch.tensor([9.0]), 0.8 * torch.ones_like(start), active)
    for _ in range(8):
        trial = rule.propose(torch.tensor([99.0]), torch.ones_like(start), active)
    rms = (trial - first).square().mean().sqrt().item()
    assert abs(rms - 0.05) < 1e-6


def test_the_preconditioner_is_shown_every_useful_pair_and_forgets_with_a_restart():
    start = torch.full((2, 3, 4, 4), 0.5)
    unit = Unit()
    rule = BatchedLBFGS(start, unit)
    both = torch.tensor([True, True])
    rule.propose(torch.tensor([10.0, 10.0]), torch.ones_like(start), both)
    trial = rule.propose(torch.tensor([9.0, 99.0]), 0.8 * torch.ones_like(start), both)
    pictures, step, change = unit.learnt[-1]
    assert pictures == [True, False]  # the other one's trial was refused
    torch.testing.assert_close(step[0], torch.full((3, 4, 4), -0.05))
    torch.testing.assert_close(change[0], torch.full((3, 4, 4), -0.2))
    assert trial[0].mean() < 0.45
    for total in range(8):
        rule.propose(torch.tensor([8.0 - total, 99.0]), torch.ones_like(start), both)
    assert [False, True] in unit.forgotten
    assert not any(first for first, _ in unit.forgotten)
