from dataclasses import replace

import pytest
import torch

from stylecore.perception.losses import gram_matrix
from stylecore.refine.networks import Refiner
from stylecore.training.augmentation import Pair
from stylecore.training.refiner_game import RefinerBatch, RefinerGame
from stylecore.training.settings import TrainRefinerSettings

SETTINGS = TrainRefinerSettings(batch_size=2, crop_px=32, perception_every=3)


def noise(seed: int, side_px: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(1, 3, side_px, side_px, generator=generator)


@pytest.fixture
def game(tiny_encoder) -> RefinerGame:
    pairs = [Pair(noise(seed), noise(seed + 10)) for seed in (1, 2)]
    return RefinerGame(pairs, [noise(5, 48), noise(6, 64)], tiny_encoder, SETTINGS)


@pytest.fixture
def batch(game) -> RefinerBatch:
    return game.draw(torch.Generator().manual_seed(0))


def penalties(game: RefinerGame, pictures: torch.Tensor, batch: RefinerBatch) -> dict[str, float]:
    return {name: loss.item() for name, loss in game.penalties(0, pictures, batch).items()}


def test_batch_is_crops_of_pairs_and_views_of_paintings(batch):
    assert batch.crops.stylized.shape == batch.crops.content.shape == (2, 3, 32, 32)
    assert batch.real.shape == (2, 2, 32, 32)
    assert batch.units.detail.shape == (2, 1, 1, 1)


def test_a_seed_draws_the_same_batch(game, batch):
    again = game.draw(torch.Generator().manual_seed(0))
    assert torch.equal(again.crops.stylized, batch.crops.stylized)
    assert torch.equal(again.real, batch.real)


def test_new_refiner_pays_for_nothing_but_the_style_it_was_given(game, batch):
    paid = penalties(game, game.generate(Refiner(4), batch), batch)
    assert paid.pop("style") > 0
    assert paid == {"residual": 0, "structure": 0, "content": 0}


def test_photograph_itself_costs_no_content_and_no_structure(game, batch):
    paid = penalties(game, batch.crops.content, batch)
    assert paid["content"] == paid["structure"] == 0
    assert paid["residual"] > 0


def test_noise_costs_content_and_structure(game, batch):
    noisy = (batch.crops.stylized + 0.3 * torch.randn(2, 3, 32, 32)).clamp(0, 1)
    paid = penalties(game, noisy, batch)
    assert paid["content"] > 0
    assert paid["structure"] > 0


def test_texture_finer_than_a_block_costs_no_residual(game, batch):
    stripes = 0.1 * torch.tensor([1.0, -1.0]).repeat(16)
    assert penalties(game, batch.crops.stylized + stripes, batch)["residual"] < 1e-6
    brighter = penalties(game, batch.crops.stylized + 0.1, batch)["residual"]
    assert brighter == pytest.approx(0.1 * SETTINGS.residual_weight, rel=1e-4)


def test_style_is_the_relative_distance_of_gram_matrices_of_half_of_the_crops(
    game, batch, tiny_encoder
):
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    found = tiny_encoder(batch.crops.stylized[:1], layers)
    paintings = [tiny_encoder(noise(5, 48), layers), tiny_encoder(noise(6, 64), layers)]
    expected = 0.0
    for name in layers:
        target = sum(gram_matrix(each[name])[0].double() for each in paintings) / 2
        apart = gram_matrix(found[name])[0].double() - target
        expected += (apart.square().sum() / target.square().sum()).item() / 4
    paid = penalties(game, batch.crops.stylized, batch)
    assert paid["style"] == pytest.approx(expected, rel=1e-4)


def test_content_is_how_much_farther_from_the_photograph_the_features_are(
    game, batch, tiny_encoder
):
    def distance(picture: torch.Tensor) -> float:
        total = 0.0
        for name in ("relu1_2", "relu2_2", "relu3_3"):
            units = []
            for image in (picture, batch.crops.content[:1]):
                features = tiny_encoder(image, [name])[name].double()
                units.append(features / features.norm(dim=1, keepdim=True).clamp(min=1e-5))
            total += (units[0] - units[1]).square().sum(dim=1).mean().item()
        return total

    noisy = (batch.crops.stylized + 0.3 * torch.randn(2, 3, 32, 32)).clamp(0, 1)
    expected = distance(noisy[:1]) / distance(batch.crops.stylized[:1]) - 1
    assert penalties(game, noisy, batch)["content"] == pytest.approx(expected, rel=1e-3)


def test_crop_that_is_its_photograph_costs_a_finite_amount_once_it_changes(game, batch):
    """As where a mask is black: nothing may be lost there, and nothing divides by zero."""
    same = replace(batch, crops=Pair(batch.crops.content, batch.crops.content))
    unchanged = batch.crops.content.clone().requires_grad_()
    losses = game.penalties(0, unchanged, same)
    assert losses["content"].item() == 0
    (gradient,) = torch.autograd.grad(sum(losses.values()), unchanged)
    assert gradient.isfinite().all()
    noisy = (batch.crops.content + 0.3 * torch.randn(2, 3, 32, 32)).clamp(0, 1)
    assert 0 < penalties(game, noisy, same)["content"] < 1000


def test_pretrained_network_is_asked_in_every_third_step(game, batch):
    asked = ["content" in game.penalties(step, batch.crops.stylized, batch) for step in range(7)]
    assert asked == [True, False, False, True, False, False, True]


def test_every_penalty_pulls_the_picture_back(game, batch):
    noisy = (batch.crops.stylized + 0.3 * torch.randn(2, 3, 32, 32)).clamp(0, 1)
    noisy.requires_grad_()
    for name, loss in game.penalties(0, noisy, batch).items():
        (gradient,) = torch.autograd.grad(loss, noisy, retain_graph=True)
        moved = noisy.detach() - 1e-3 * gradient / gradient.abs().max()
        assert penalties(game, moved, batch)[name] < loss.item(), name
