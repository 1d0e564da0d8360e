import pytest
import torch

from stylecore.generate.arbitrary import ArbitraryGenerator
from stylecore.generate.decoder import Decoder


@pytest.fixture
def generator(tiny_encoder) -> ArbitraryGenerator:
    torch.manual_seed(0)
    return ArbitraryGenerator(tiny_encoder, Decoder(6, width=4, num_blocks=1)).requires_grad_(False)


def images(seed: int, num: int = 1, height: int = 40, width: int = 48) -> torch.Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(40, 48), (41, 33), (16, 16), (17, 100), (1, 1), (5, 90)])
def test_pictures_have_the_size_of_their_photographs(generator, size):
    style = generator.measure([images(1)], [1.0])
    pictures = generator(images(0, 2, *size), style)
    assert pictures.shape == (2, 3, *size)
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_batch_of_three_is_three_of_one(generator):
    style = generator.measure([images(1)], [1.0])
    photographs = images(2, 3)
    together = generator(photographs, style, 0.7)
    alone = torch.cat([generator(one[None], style, 0.7) for one in photographs])
    torch.testing.assert_close(together, alone)


def test_another_painting_gives_another_picture_of_the_same_network(generator):
    one, other = (generator.measure([images(seed) ** seed], [1.0]) for seed in (1, 4))
    photograph = images(2)
    assert (generator(photograph, one) - generator(photograph, other)).abs().max() > 1e-3


def test_paintings_are_mixed_by_the_ratio_of_their_weights(generator):
    paintings = [images(1), images(4) ** 3]
    mixed = generator.measure(paintings, [3.0, 1.0])
    one, other = (generator.measure([painting], [1.0]) for painting in paintings)
    assert mixed.keys() == {"pixels", "relu4_1"}
    for name, found in mixed.items():
        mean = 0.75 * one[name].mean + 0.25 * other[name].mean
        deviation = 0.75 * one[name].deviation + 0.25 * other[name].deviation
        torch.testing.assert_close(found.mean, mean)
        torch.testing.assert_close(found.deviation, deviation)


def test_without_strength_the_style_does_not_matter(generator):
    photograph = images(2)
    styles = [generator.measure([images(seed) ** seed], [1.0]) for seed in (1, 4)]
    one, other = (generator(photograph, style, 0.0) for style in styles)
    assert torch.equal(one, other)
    assert not torch.equal(generator(photograph, styles[0], 0.5), one)


def test_decoder_that_draws_nothing_leaves_the_photograph_in_the_colors_of_the_style(generator):
    for parameter in generator.decoder.leave.parameters():
        parameter.zero_()
    photograph, painting = images(2, 1, 40, 48), 0.2 + 0.3 * images(1, 1, 40, 48)
    style = generator.measure([painting], [1.0])
    picture = generator(photograph, style)
    torch.testing.assert_close(picture.mean((2, 3)), painting.mean((2, 3)), rtol=0, atol=0.02)
    torch.testing.assert_close(picture.std((2, 3)), painting.std((2, 3)), rtol=0, atol=0.02)
    same = generator(photograph, style, 0.0)
    torch.testing.assert_close(same, photograph.clamp(0.02, 0.98))


def test_black_and_white_can_be_drawn_upon(generator):
    photograph = images(2).round()
    assert torch.isfinite(generator(photograph, generator.measure([images(1)], [1.0]))).all()
