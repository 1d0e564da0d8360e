"""The feed-forward network: sizes, styles, and what a batch changes (nothing)."""

import pytest
import torch

from stylecore.generate.networks import ColorMatch, ConditionalNorm, Generator
from stylecore.training.generator_game import one_hot


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(num_styles=3, width=4, num_blocks=1).eval()
    for module in generator.modules():
        if isinstance(module, ConditionalNorm):
            module.gain.data += 0.5 * torch.randn(module.gain.shape)
            module.offset.data += 0.5 * torch.randn(module.offset.shape)
    return generator.requires_grad_(False)


def noise(num: int, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 31), (33, 18), (64, 40)])
def test_pictures_have_the_size_of_their_photographs(generator, height, width):
    pictures = generator(noise(2, height, width), one_hot(torch.tensor([0, 1]), 3))
    assert pictures.shape == (2, 3, height, width)
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_a_batch_makes_the_same_as_one_at_a_time(generator):
    photographs, shares = noise(3), one_hot(torch.tensor([2, 0, 1]), 3)
    together = generator(photographs, shares)
    alone = [generator(photographs[n : n + 1], shares[n : n + 1]) for n in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-6, rtol=0)


def test_each_style_makes_another_picture_and_a_mixture_lies_between(generator):
    photograph = noise(1)
    one, other = (generator(photograph, one_hot(torch.tensor([n]), 3)) for n in (0, 1))
    mixed = generator(photograph, torch.tensor([[0.5, 0.5, 0.0]]))
    distance = (one - other).square().mean()
    assert distance > 1e-4
    assert (mixed - one).square().mean() < distance
    assert (mixed - other).square().mean() < distance


def test_the_encoding_half_gives_features_of_each_size_up_to_the_middle_block():
    torch.manual_seed(0)
    generator = Generator(1, width=4, num_blocks=5)
    shares = torch.ones(2, 1)
    found = generator.encode(noise(2), shares)
    assert [tuple(one.shape[1:]) for one in found] == [
        *((4, 24, 32), (8, 12, 16), (16, 6, 8)),
        *((16, 6, 8), (16, 6, 8)),
    ]
    seen = []
    generator.blocks[1].register_forward_hook(
        lambda _module, _given, features: seen.append(features)
    )
    generator(noise(2), shares)
    torch.testing.assert_close(found[-1], seen[0])


def test_norm_is_an_instance_norm_with_the_gain_and_offset_of_the_style():
    norm = ConditionalNorm(2, 5)
    norm.gain.data = torch.rand(2, 5)
    norm.offset.data = torch.rand(2, 5)
    features = torch.randn(2, 5, 7, 6)
    found = norm(features, one_hot(torch.tensor([1, 0]), 2))
    for picture, style in ((0, 1), (1, 0)):
        module = torch.nn.InstanceNorm2d(5, affine=True)
        module.weight.data, module.bias.data = norm.gain[style], norm.offset[style]
        torch.testing.assert_close(
            found[picture : picture + 1], module(features[picture : picture + 1])
        )


def test_the_gradient_reaches_only_the_styles_that_were_asked_for(generator):
    generator.requires_grad_(True)
    generator(noise(1), one_hot(torch.tensor([1]), 3)).square().mean().backward()
    gradient = generator.enter.norm.gain.grad
    assert gradient is not None
    assert gradient[1].abs().sum() > 0
    assert gradient[[0, 2]].abs().sum() == 0


def test_a_new_network_adds_to_the_photograph_in_the_colors_of_the_style():
    color = ColorMatch(2)
    color.mixing.data[1] = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    color.shift.data[1] = torch.tensor([0.1, 0.2, 0.3])
    photographs = noise(2)
    found = color(photographs, one_hot(torch.tensor([0, 1]), 2))
    mean = photographs.mean(dim=(2, 3), keepdim=True)
    variance = photographs.var(dim=(2, 3), keepdim=True, correction=0)
    normal = (photographs - mean) / (variance + 1e-3).sqrt()
    torch.testing.assert_close(found[0], normal[0])
    swapped = normal[1][[1, 0, 2]] * torch.tensor([1.0, 1.0, 2.0])[:, None, None]
    expected = swapped + torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    torch.testing.assert_close(found[1], expected)


def test_a_photograph_of_one_color_stays_finite(generator):
    flat = torch.full((1, 3, 32, 32), 0.25)
    assert generator(flat, one_hot(torch.tensor([0]), 3)).isfinite().all()


def test_a_pale_photograph_of_little_contrast_is_normalized_as_exactly_as_others():
    """In any order of memory, alone or in a batch: sums of squares of what is light are not."""
    chance = torch.Generator().manual_seed(5)
    photographs = (0.9 + 0.01 * torch.randn(2, 3, 256, 256, generator=chance)).clamp(0, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Generator(1, width=8, num_blocks=1).eval()
    shares = torch.ones(2, 1)
    with torch.no_grad():
        exact = network.double()(photographs.double(), shares.double())
        last = network.float().to(memory_format=torch.channels_last)
        together = last(photographs.to(memory_format=torch.channels_last), shares)
        alone = [last(one[None], shares[:1]) for one in photographs]
    for found in (together, torch.cat(alone)):
        assert (found - exact).abs().max() < 0.2 / 255


def test_white_stays_able_to_learn_in_half_precision():
    """The sigmoid of what is drawn is not rounded to 1, where no gradient would be left."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Generator(1, width=4, num_blocks=1)
    with torch.no_grad():
        network.color.shift.fill_(7.0)
    photographs = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pictures = network(photographs, torch.ones(1, 1))
    assert pictures.dtype == torch.float32
    pictures.sum().backward()
    assert (pictures < 1).all()
    assert (network.color.shift.grad > 0).all()
