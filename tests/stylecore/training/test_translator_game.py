"""The game of a translator: what it draws, who sees what, and what else is lowered."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from stylecore.training.contrast import Translator, patch_nce
from stylecore.training.translator_game import TranslatorGame, count_channels, view_colors
from stylecore.training.translator_settings import TrainTranslatorSettings

SETTINGS = TrainTranslatorSettings(
    batch_size=2, crop_px=32, width=4, num_blocks=1, num_patches=9, identity_weight=1
)


def gray(level: int) -> np.ndarray:
    return np.full((40, 48, 3), level, np.uint8)


@pytest.fixture
def game_of(tiny_encoder) -> Callable[..., TranslatorGame]:
    def build(**changes: object) -> TranslatorGame:
        torch.manual_seed(0)
        settings = SETTINGS.model_copy(update=changes)
        translator = Translator(settings.width, settings.num_blocks)
        return TranslatorGame(translator, [gray(51)], [gray(204)], tiny_encoder, settings)

    return build


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_step_takes_crops_of_both_kinds(game_of):
    batch = game_of().draw(random())
    assert batch.photographs.shape == batch.examples.shape == (2, 3, 32, 32)
    assert batch.photographs.unique().tolist() == pytest.approx([0.2])
    assert batch.examples.unique().tolist() == pytest.approx([0.8])


def test_the_same_chance_draws_the_same(game_of):
    one, other = (game_of().draw(random(7)) for _ in range(2))
    assert torch.equal(one.inputs, other.inputs)
    assert all(map(torch.equal, one.places, other.places))


def test_the_adversary_sees_early_features_of_translated_photographs_and_of_examples(game_of):
    game = game_of()
    batch = game.draw(random())
    pictures = game.generate(game.translator, batch)
    seen, real = game.view_fake(pictures, batch), game.view_real(batch)
    for view, shown in ((seen, game.translator(batch.photographs)), (real, batch.examples)):
        features = game.encoder(shown, ["relu3_1"])["relu3_1"]
        torch.testing.assert_close(view, features / 4.1)
        assert view.shape[1] == count_channels(game.encoder, game.settings)
    seen.sum().backward()
    assert game.translator.generator.leave.bias.grad is not None


def test_the_adversary_can_be_shown_the_colors_themselves(game_of):
    game = game_of(adversary_view="colors")
    assert count_channels(game.encoder, game.settings) == 3
    batch = game.draw(random())
    pictures = game.generate(game.translator, batch)
    seen = game.view_fake(pictures, batch)
    torch.testing.assert_close(seen, view_colors(game.translator(batch.photographs)))
    torch.testing.assert_close(game.view_real(batch), view_colors(batch.examples))
    assert view_colors(torch.tensor([0.25, 0.5, 1.0])).tolist() == [-1, 0, 2]


def test_patches_of_photographs_and_of_examples_are_to_be_found_again(game_of):
    game = game_of(contrast_weight=3.0, identity_weight=0.5)
    batch = game.draw(random())
    pictures = game.generate(game.translator, batch)
    found = game.penalties(0, pictures, batch)
    keys = game.translator.look(batch.inputs, batch.places)
    queries = game.translator.look(pictures, batch.places)
    pairs = list(zip(queries, keys, strict=True))
    contrast = sum(patch_nce(query[:2], key[:2]) for query, key in pairs) / len(pairs)
    identity = sum(patch_nce(query[2:], key[2:]) for query, key in pairs) / len(pairs)
    torch.testing.assert_close(found["contrast"], 3 * contrast)
    torch.testing.assert_close(found["identity"], 0.5 * identity)


def test_without_the_identity_term_examples_do_not_go_through_the_network(game_of):
    game = game_of(identity_weight=0)
    batch = game.draw(random())
    assert batch.inputs.shape == (2, 3, 32, 32)
    pictures = game.generate(game.translator, batch)
    assert game.penalties(0, pictures, batch).keys() == {"contrast"}


def test_the_heads_learn_with_the_generator(game_of):
    game = game_of(identity_weight=0)
    batch = game.draw(random())
    pictures = game.generate(game.translator, batch).detach().requires_grad_()
    torch.stack([*game.penalties(0, pictures, batch).values()]).sum().backward()
    assert pictures.grad is not None
    assert all(one.grad is not None for one in game.translator.heads.parameters())
