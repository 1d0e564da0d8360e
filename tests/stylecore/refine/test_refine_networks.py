import pytest
import torch
from torch import nn

from stylecore.refine.networks import Discriminator, Refiner


def pictures(height: int, width: int, num: int = 1) -> torch.Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.fixture
def refiner() -> Refiner:
    """One that changes something: its last convolution is not zero."""
    torch.manual_seed(0)
    network = Refiner(width=4, num_blocks=1)
    nn.init.normal_(network.leave.weight, std=0.1)
    return network


def test_new_refiner_is_the_identity():
    stylized = pictures(24, 20, num=2)
    assert torch.equal(Refiner(width=4)(stylized, 1 - stylized), stylized)


@pytest.mark.parametrize("size", [(16, 16), (16, 45), (17, 19), (31, 16), (32, 64), (50, 33)])
def test_refiner_keeps_any_size(refiner, size):
    stylized = pictures(*size)
    refined = refiner(stylized, stylized.flip(-1))
    assert refined.shape == stylized.shape
    assert not torch.equal(refined, stylized)


def test_refined_picture_stays_in_range_and_near_the_stylized_one(refiner):
    nn.init.normal_(refiner.leave.weight, std=100)
    stylized = pictures(32, 32)
    refined = refiner(stylized, stylized)
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert (refined - stylized).abs().max() <= 0.5


def test_half_the_strength_is_half_the_change(refiner):
    stylized = 0.4 + 0.2 * pictures(20, 20)
    full = refiner(stylized, stylized) - stylized
    half = refiner(stylized, stylized, alpha=0.5) - stylized
    torch.testing.assert_close(half, full / 2, atol=1e-6, rtol=0)


def test_refiner_looks_at_the_photograph(refiner):
    stylized = pictures(20, 20)
    assert not torch.equal(refiner(stylized, stylized), refiner(stylized, 1 - stylized))


def test_pictures_of_a_batch_do_not_see_each_other(refiner):
    stylized = pictures(20, 24, num=2)
    alone = refiner(stylized[1:], stylized[1:])
    torch.testing.assert_close(refiner(stylized, stylized)[1:], alone, atol=1e-6, rtol=0)


def test_every_weight_of_the_refiner_gets_a_gradient(refiner):
    refiner(pictures(32, 32), pictures(32, 33)[..., :32]).square().sum().backward()
    for name, parameter in refiner.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_new_refiner_learns_from_its_first_step_on():
    network = Refiner(width=4)
    network(pictures(32, 32), pictures(32, 32)).square().sum().backward()
    assert network.leave.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(16, 16), (40, 24), (33, 17)])
def test_discriminator_judges_every_patch_of_eight(size):
    height, width = size
    logits = Discriminator(2, width=4)(torch.randn(3, 2, height, width))
    assert logits.shape == (3, 1, -(-height // 8), -(-width // 8))


def test_discriminator_looks_at_halves_quarters_and_eighths():
    features = Discriminator(1, width=4).features(torch.randn(1, 1, 32, 48))
    assert [tuple(each.shape[1:]) for each in features] == [(8, 16, 24), (16, 8, 12), (16, 4, 6)]


@pytest.mark.parametrize("is_normalized", [False, True])
def test_every_weight_of_the_discriminator_gets_a_gradient(is_normalized):
    torch.manual_seed(1)
    network = Discriminator(2, width=4, is_normalized=is_normalized)
    network(torch.randn(2, 2, 32, 32)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_spectral_normalization_bounds_the_gain_of_every_convolution():
    torch.manual_seed(2)
    network = Discriminator(1, width=4, is_normalized=True)
    for _ in range(50):  # each pass is one step of its power iteration
        network(torch.randn(1, 1, 16, 16))
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    gains = [torch.linalg.matrix_norm(each.weight.flatten(1), ord=2) for each in convolutions]
    torch.testing.assert_close(torch.stack(gains), torch.ones(len(gains)), atol=0.02, rtol=0)
