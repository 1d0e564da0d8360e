"""The alternation, on a toy."""

import pytest
import torch
from torch import Tensor
from toy_game import Grays, loop_of

from stylecore.errors import JobError
from stylecore.refine.adversary import discriminator_loss, generator_loss
from stylecore.training.adversarial_loop import AdversarialLoop


def losses_on(loop: AdversarialLoop, batch: Tensor) -> tuple[float, float]:
    """Of the discriminator and of the generator, as they stand."""
    real, fake = loop.game.view_real(batch), loop.generator(batch)
    with torch.no_grad():
        verdicts = loop.discriminator(real), loop.discriminator(fake)
        kind = loop.settings.adversary
        return discriminator_loss(kind, *verdicts).item(), generator_loss(kind, verdicts[1]).item()


@pytest.mark.parametrize("kind", ["bce", "hinge", "least-squares"])
def test_one_step_lowers_the_loss_of_the_discriminator(kind):
    loop = loop_of(adversary=kind, generator_learning_rate=1e-9)
    batch = loop.game.draw(torch.Generator().manual_seed(0))  # the one that the step will draw
    before, _ = losses_on(loop, batch)
    loop.advance()
    assert losses_on(loop, batch)[0] < before


@pytest.mark.parametrize("kind", ["bce", "hinge", "least-squares"])
def test_one_step_lowers_the_loss_of_the_generator(kind):
    loop = loop_of(adversary=kind, discriminator_learning_rate=1e-9)
    batch = loop.game.draw(torch.Generator().manual_seed(0))
    _, before = losses_on(loop, batch)
    loop.advance()
    assert losses_on(loop, batch)[1] < before


def finish(loop):
    while loop.step < loop.settings.num_steps:
        loop.advance()


def test_generator_learns_what_is_real():
    loop = loop_of()
    finish(loop)
    assert 0.5 < loop.generator.value.item() < 1.5


def test_without_an_adversary_only_the_penalties_teach():
    loop = loop_of(Grays(pull=1.0), adversary_weight=0.0, feature_weight=0.0)
    loop.generator.value.data.fill_(0.5)
    finish(loop)
    assert abs(loop.generator.value.item()) < 0.1


def test_matching_features_pulls_the_way_of_the_real_ones():
    loop = loop_of(adversary_weight=0.0, feature_weight=1.0)
    finish(loop)
    assert loop.generator.value.item() > 0.3


def test_discriminator_that_is_too_good_waits_while_the_generator_learns():
    loop = loop_of(success_limit=0.6)
    loop.success = 0.95
    before = [parameter.clone() for parameter in loop.discriminator.parameters()]
    figures = loop.advance()
    assert figures["is_paused"] == 1
    assert all(map(torch.equal, before, loop.discriminator.parameters()))
    assert loop.generator.value.item() != 0
    assert loop.success < 0.95


def test_discriminator_that_waited_learns_again():
    loop = loop_of(success_limit=0.6)
    loop.success = 0.61
    paused = [loop.advance()["is_paused"] for _ in range(3)]
    assert paused[0] == 1
    assert 0 in paused


def test_average_lags_behind_the_generator_and_has_no_gradient():
    loop = loop_of()
    for _ in range(20):
        loop.advance()
    assert 0 < loop.average.value.item() < loop.generator.value.item()
    assert not loop.average.value.requires_grad


def test_gradients_are_clipped_before_a_step():
    loop = loop_of(clip_norm=1e-3, num_steps=1)
    loop.advance()
    squares = [parameter.grad.square().sum() for parameter in loop.generator.parameters()]
    assert torch.stack(squares).sum().sqrt() <= 1.01e-3


def test_noise_is_gone_after_three_quarters():
    def first_loss(step: int, noise: float) -> float:
        loop = loop_of(noise=noise)
        loop.step = step
        return loop.advance()["discriminator"]

    assert first_loss(0, 1.0) != first_loss(0, 0.0)
    assert first_loss(35, 1.0) == first_loss(35, 0.0)


def test_a_seed_gives_the_same_weights_again_and_another_other_ones():
    values = []
    for seed in (1, 1, 2):
        loop = loop_of(seed=seed, noise=0.1)
        finish(loop)
        values.append(loop.generator.value.item())
    assert values[0] == values[1] != values[2]


class Steep(Grays):
    """The root of what is zero: nothing is lost, and its gradient is infinite."""

    def penalties(self, step, pictures, batch):
        return {"steep": (pictures - pictures.detach()).sum().sqrt()}


def test_a_gradient_that_is_not_finite_ends_the_training_before_it_spoils_the_weights():
    loop = loop_of(Steep(), adversary_weight=0.0, feature_weight=0.0)
    before = loop.generator.value.item()
    with pytest.raises(JobError, match="a gradient is not finite in step 1: lower"):
        loop.advance()
    assert loop.generator.value.item() == before
