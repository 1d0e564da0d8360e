import pytest
import torch

from stylecore.training.augmentation import Pair, crop_pair, crop_randomly, jitter_color


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pair() -> Pair:
    """A photograph, and its negative in the stylized picture's place."""
    content = torch.rand(1, 3, 60, 48, generator=seeded(0))
    return Pair(1 - content, content)


@pytest.mark.parametrize("seed", range(8))
def test_both_of_a_pair_are_cropped_flipped_and_scaled_alike(pair, seed):
    cut = crop_pair(pair, 32, seeded(seed))
    assert cut.content.shape == cut.stylized.shape == (1, 3, 32, 32)
    torch.testing.assert_close(cut.stylized, 1 - cut.content, atol=1e-3, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_both_of_a_pair_are_recolored_alike(seed):
    content = 0.3 + 0.4 * torch.rand(1, 3, 9, 9, generator=seeded(1))
    jittered = jitter_color(Pair(content.clone(), content), 0.05, seeded(seed))
    assert torch.equal(jittered.stylized, jittered.content)
    assert not torch.equal(jittered.content, content)


def test_jitter_of_zero_changes_nothing(pair):
    jittered = jitter_color(pair, 0.0, seeded(0))
    torch.testing.assert_close(jittered.content, pair.content)


def test_jitter_stays_in_range(pair):
    jittered = jitter_color(pair, 2.0, seeded(0))
    for picture in (jittered.stylized, jittered.content):
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_a_seed_draws_the_same_again_and_another_something_else(pair):
    first, again, other = (crop_pair(pair, 32, seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.content, again.content)
    assert not torch.equal(first.content, other.content)


def test_crops_reach_every_corner_and_flip_half_of_the_time():
    ramp = torch.arange(40.0).view(1, 1, 1, 40).expand(1, 1, 40, 40)
    random = seeded(2)
    crops = [crop_randomly(ramp, 16, random)[0, 0, 0] for _ in range(400)]
    flipped = sum(bool(crop[0] > crop[-1]) for crop in crops)
    assert 160 < flipped < 240
    assert {int(crop.min()) for crop in crops} == set(range(25))


@pytest.mark.parametrize("size", [(16, 16), (16, 70), (33, 20)])
def test_picture_smaller_than_the_window_is_continued(size):
    picture = torch.rand(1, 3, *size, generator=seeded(3))
    crop = crop_randomly(picture, 64, seeded(0))
    assert crop.shape == (1, 3, 64, 64)
    assert {*crop.unique().tolist()} <= {*picture.unique().tolist()}
