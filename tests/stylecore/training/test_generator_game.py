"""What a generator is trained for is what the optimizer minimises."""

import math

import pytest
import torch
from torch.nn.functional import mse_loss

from stylecore.generate.networks import Generator
from stylecore.images.tensors import from_batch
from stylecore.perception.encoder import Encoder
from stylecore.training.generator_game import GeneratorBatch, GeneratorGame
from stylecore.training.settings import TrainGeneratorSettings

SETTINGS = TrainGeneratorSettings(
    batch_size=2,
    crop_px=32,
    style_weight=3.0,
    content_power=1.0,
    content_weight=2.0,
    first_content_weight=18.0,
    num_steps=100,
)


def noise(seed: int, height: int = 48, width: int = 40) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def make_game(
    encoder: Encoder, precision: torch.dtype = torch.float32, **changes: object
) -> GeneratorGame:
    photographs = [from_batch(noise(seed))[0] for seed in (1, 2)]
    settings = SETTINGS.model_copy(update=changes)
    return GeneratorGame(photographs, [noise(5), noise(6, 64, 33)], encoder, settings, precision)


@pytest.fixture
def game(tiny_encoder) -> GeneratorGame:
    return make_game(tiny_encoder)


@pytest.fixture
def batch(game) -> GeneratorBatch:
    return game.draw(torch.Generator().manual_seed(0))


def gram(features: torch.Tensor) -> torch.Tensor:
    _, channels, height, width = features.shape
    flat = features.reshape(1, channels, -1)
    return torch.einsum("bip,bjp->bij", flat, flat) / (channels * height * width)


def test_a_batch_is_crops_each_with_a_style(batch):
    assert batch.photographs.shape == (2, 3, 32, 32)
    assert batch.shares.shape == (2, 2)
    assert torch.equal(batch.shares.argmax(dim=1), batch.styles)
    assert batch.real.shape == (2, 2, 32, 32)


def test_a_seed_draws_the_same_batch(game, batch):
    again = game.draw(torch.Generator().manual_seed(0))
    assert torch.equal(again.photographs, batch.photographs)
    assert torch.equal(again.styles, batch.styles)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize(("step", "content_weight"), [(0, 18.0), (50, 6.0), (100, 2.0)])
def test_the_loss_is_the_logarithm_of_the_optimizers_objective_with_content_first(
    tiny_encoder, step, content_weight, power
):
    game = make_game(tiny_encoder, content_power=power)
    batch = game.draw(torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    pictures = torch.rand(2, 3, 32, 32)
    paintings = [noise(5), noise(6, 64, 33)]
    logarithms = []
    for n in range(2):
        with torch.no_grad():
            layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu4_2"]
            found = tiny_encoder(pictures[n : n + 1], layers)
            wanted = tiny_encoder(paintings[batch.styles[n]], layers[:5])
            content = tiny_encoder(batch.photographs[n : n + 1], ["relu4_2"])
        style = sum(mse_loss(gram(found[name]), gram(wanted[name])) for name in layers[:5])
        local = (found["relu4_2"] - content["relu4_2"]).square().mean(dim=1)
        total = content_weight * local.pow(power).mean() ** (1 / power) + 3.0 * style
        logarithms.append(math.log(total.item()))
    (loss,) = game.penalties(step, pictures, batch).values()
    assert loss.item() == pytest.approx(sum(logarithms) / 2, rel=1e-4)


def test_bfloat16_teaches_the_same(game, batch, tiny_encoder):
    """Loss and gradient are those of single precision nearly; pictures are single."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = Generator(2, width=4, num_blocks=1)
    fast = make_game(tiny_encoder, torch.bfloat16)
    found = []
    for each in (game, fast):
        network.zero_grad()
        pictures = each.generate(network, batch)
        assert pictures.dtype == torch.float32
        (loss,) = each.penalties(0, pictures, batch).values()
        loss.backward()
        gradient = torch.cat([one.grad.flatten() for one in network.parameters()])
        found.append((loss.item(), gradient))
    (single, exact), (half, rounded) = found
    assert half == pytest.approx(single, rel=0.02)
    assert torch.nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.9


def test_the_photograph_in_its_own_style_costs_nothing(tiny_encoder):
    half = noise(1, 32, 16)
    photograph = torch.cat((half, half.flip(-1)), dim=-1).mul(255).round() / 255  # flips are drawn
    settings = SETTINGS.model_copy(update={"batch_size": 1})
    game = GeneratorGame(from_batch(photograph), [photograph], tiny_encoder, settings)
    batch = game.draw(torch.Generator().manual_seed(4))
    (loss,) = game.penalties(0, batch.photographs, batch).values()
    assert loss.item() < math.log(1e-3)


def test_generated_pictures_take_the_style_that_was_drawn(game, batch):
    torch.manual_seed(0)
    generator = Generator(2, 4, 1)
    generator.enter.norm.offset.data[1] = 1.0
    pictures = game.generate(generator, batch)
    alone = generator(batch.photographs[:1], batch.shares[:1])
    torch.testing.assert_close(pictures[:1], alone, atol=2e-6, rtol=0)


def test_the_adversary_sees_pictures_and_paintings_in_the_same_units(game, batch):
    fake = game.view_fake(batch.photographs, batch)
    assert fake.shape == game.view_real(batch).shape
    torch.testing.assert_close(fake[:, 0].std(dim=(1, 2), correction=0), torch.ones(2))
