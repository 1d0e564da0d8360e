import numpy as np
import pytest
import torch

from stylecore.refine.adversary import discriminator_loss, generator_loss, success_rate

KINDS = ["bce", "hinge", "least-squares"]


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    real = 2 * torch.randn(3, 1, 4, 5, generator=generator)
    return real, 2 * torch.randn(2, 1, 7, 6, generator=generator)


def independent_bce(logit: np.ndarray, label: float) -> float:
    likelihood = 1 / (1 + np.exp(-logit))
    return float(-(label * np.log(likelihood) + (1 - label) * np.log(1 - likelihood)).mean())


def test_bce_is_the_cross_entropy_of_labels_one_and_zero(logits):
    real, fake = (each.double().numpy() for each in logits)
    expected = (independent_bce(real, 1) + independent_bce(fake, 0)) / 2
    assert discriminator_loss("bce", *logits).item() == pytest.approx(expected, rel=1e-5)
    expected = independent_bce(fake, 1)
    assert generator_loss("bce", logits[1]).item() == pytest.approx(expected, rel=1e-5)


def test_hinge_ignores_what_is_beyond_its_margin(logits):
    real, fake = (each.double().numpy() for each in logits)
    expected = (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()) / 2
    assert discriminator_loss("hinge", *logits).item() == pytest.approx(expected, rel=1e-5)
    assert generator_loss("hinge", logits[1]).item() == pytest.approx(-fake.mean(), rel=1e-5)


def test_least_squares_has_targets_of_one_and_minus_one(logits):
    real, fake = (each.double().numpy() for each in logits)
    expected = (np.square(real - 1).mean() + np.square(fake + 1).mean()) / 2
    assert discriminator_loss("least-squares", *logits).item() == pytest.approx(expected, rel=1e-5)
    expected = np.square(fake - 1).mean()
    assert generator_loss("least-squares", logits[1]).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_players_pull_a_doubtful_fake_in_opposite_directions(kind):
    fake = torch.zeros(1, 1, 1, 1, requires_grad=True)
    (up,) = torch.autograd.grad(generator_loss(kind, fake), fake)
    (down,) = torch.autograd.grad(discriminator_loss(kind, fake.detach(), fake), fake)
    assert up.item() < 0 < down.item()


@pytest.mark.parametrize("kind", KINDS)
def test_large_logits_stay_finite(kind):
    huge = torch.full((1, 1, 2, 2), 1e4)
    assert discriminator_loss(kind, -huge, huge).isfinite()
    assert generator_loss(kind, -huge).isfinite()


def test_success_rate_counts_real_and_fake_alike_however_many_there_are():
    real = torch.tensor([1.0, 1.0, 1.0, -1.0]).view(1, 1, 2, 2)
    fake = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2)
    assert success_rate(real, fake).item() == pytest.approx((0.75 + 0.5) / 2)
