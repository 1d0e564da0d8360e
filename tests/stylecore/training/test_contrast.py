"""PatchNCE: against a computation of its own, and what it sees of a network."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from stylecore.training.contrast import TEMPERATURE, Translator, draw_places, patch_nce

PLACES = 5


@pytest.fixture
def translator() -> Translator:
    torch.manual_seed(0)
    return Translator(width=4, num_blocks=2)


def vectors(seed: int, pictures: int = 2, patches: int = 6) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(pictures, patches, 8, generator=random), dim=-1)


def places(side_px: int = 32, seed: int = 0) -> list[torch.Tensor]:
    return draw_places(side_px, PLACES, torch.Generator().manual_seed(seed))


def test_patch_nce_is_the_cross_entropy_of_finding_the_own_place():
    queries, keys = vectors(0), vectors(1)
    losses = []
    for query, key in zip(queries.numpy(), keys.numpy(), strict=True):
        likeness = np.exp(query.astype(float) @ key.T / TEMPERATURE)
        losses += [-math.log(likeness[n, n] / likeness[n].sum()) for n in range(len(query))]
    assert patch_nce(queries, keys).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_patches_of_other_pictures_are_no_rivals():
    queries, keys = vectors(0), vectors(1)
    each = [patch_nce(queries[n : n + 1], keys[n : n + 1]).item() for n in range(2)]
    assert patch_nce(queries, keys).item() == pytest.approx(np.mean(each), rel=1e-5)


def test_patches_that_are_all_alike_can_only_be_guessed():
    alike = functional.normalize(torch.ones(1, 6, 8), dim=-1)
    assert patch_nce(alike, alike).item() == pytest.approx(math.log(6))


def test_the_same_patches_are_found_and_exchanged_ones_are_not():
    queries = vectors(2)
    assert patch_nce(queries, queries) < 0.1 < patch_nce(queries.roll(1, dims=1), queries)


def test_places_are_different_ones_inside_every_layer():
    for there, count in zip(places(), (32**2, 32**2, 16**2, 8**2, 8**2), strict=True):
        assert len(set(there.tolist())) == PLACES
        assert 0 <= there.min() <= there.max() < count


def test_a_layer_of_few_places_has_all_of_them():
    there = draw_places(32, 100, torch.Generator().manual_seed(0))
    assert sorted(there[-1].tolist()) == list(range(64))


def test_the_heads_look_at_the_generators_own_features_at_those_places(translator):
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    there = places()
    found = translator.look(pictures, there)
    features = translator.generator.encode(pictures, torch.ones(2, 1))
    half, number = features[1], 3
    row, column = divmod(int(there[2][number]), 16)
    expected = functional.normalize(translator.heads[2](half[:, :, row, column]), dim=-1)
    torch.testing.assert_close(found[2][:, number], expected)
    assert [one.shape for one in found] == [(2, PLACES, 64)] * 5


@pytest.mark.parametrize("num_blocks", [0, 1, 3])
def test_any_number_of_blocks_can_be_looked_at(num_blocks):
    pictures = torch.rand(1, 3, 32, 32)
    assert len(Translator(4, num_blocks).look(pictures, places())) == 5


def test_a_translator_is_its_generator_of_one_style(translator):
    pictures = torch.rand(1, 3, 20, 24)
    torch.testing.assert_close(
        translator(pictures), translator.generator(pictures, torch.ones(1, 1))
    )
