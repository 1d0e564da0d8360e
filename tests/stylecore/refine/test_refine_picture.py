from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from stylecore.metrics import quality
from stylecore.refine.apply import refine_at_strengths, refine_picture
from stylecore.refine.gate import GateFigures
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Refiner


class Brightness:
    """Stands in for a texture: how far a picture's mean is from 0.6."""

    def fdrl(self, picture: torch.Tensor) -> float:
        return abs(picture.mean().item() - 0.6)


class Distance(nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor, normalize: bool) -> torch.Tensor:
        assert normalize
        return (one - other).abs().mean()


@pytest.fixture
def measures() -> GateMeasures:
    return GateMeasures(Brightness(), Distance())


@pytest.fixture
def stylized() -> torch.Tensor:
    return 0.3 + 0.2 * torch.rand(1, 3, 21, 18, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def content(stylized) -> torch.Tensor:
    """As much brighter as full strength can make it."""
    return stylized + 0.2


@pytest.fixture
def brightening() -> Callable[[float], Refiner]:
    def build(change: float) -> Refiner:
        refiner = Refiner(4, 0)
        refiner.leave.bias.data.fill_(torch.atanh(torch.tensor(2 * change)))
        return refiner

    return build


def test_strength_with_the_largest_gain_is_taken(brightening, stylized, content, measures):
    refined = refine_picture(brightening(0.4), stylized, content, measures)
    assert refined.choice.alpha == 0.5
    torch.testing.assert_close(refined.picture, content, atol=0.003, rtol=0)
    assert refined.choice.after == measures.measure(refined.picture, content)
    assert refined.choice.before == measures.measure(stylized, content)


def test_rejected_picture_is_the_stylized_one(brightening, stylized, content, measures):
    refined = refine_picture(brightening(-0.2), stylized, content, measures)
    assert refined.choice.alpha == 0
    assert torch.equal(refined.picture, stylized)


def test_only_the_named_strengths_are_tried(brightening, stylized, content, measures):
    refined = refine_picture(brightening(0.4), stylized, content, measures, alphas=(0.25,))
    assert refined.choice.alpha == 0.25


def test_nothing_changes_where_nothing_may(brightening, stylized, content, measures):
    where = torch.zeros(1, 1, 21, 18)
    where[..., :9], where[..., 9:12] = 1, 0.5
    refined = refine_picture(brightening(0.2), stylized, content, measures, (0.75,), where)
    assert refined.choice.alpha == 0.75
    assert refined.choice.after == measures.measure(refined.picture, content)
    expected = stylized + 0.15 * where
    torch.testing.assert_close(refined.picture, expected, atol=0.003, rtol=0)


def test_similarity_is_measured_in_bands_whatever_the_pictures_size(monkeypatch, measures):
    """A large picture's similarity takes the memory of one band."""
    whole = torch.rand(2, 1, 3, 300, 20, generator=torch.Generator().manual_seed(2))
    seen: list[int] = []

    def watched(picture, *others, **settings):
        seen.append(picture.shape[-2])
        return structural_similarity_index_measure(picture, *others, **settings)

    monkeypatch.setattr(quality, "_BAND_PX", 1)
    monkeypatch.setattr(quality, "structural_similarity_index_measure", watched)
    found = measures.measure(*whole).ssim
    expected = structural_similarity_index_measure(*whole, data_range=1.0).item()
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(seen) == 5
    assert max(seen) < 100


def test_what_is_measured_is_what_a_file_will_hold(brightening, stylized, content):
    for picture in refine_at_strengths(brightening(0.1), stylized, content, (0.3, 1.0)).values():
        levels = picture * 255
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (15, 16)])
def test_picture_smaller_than_the_networks_can_take_is_refined(size, brightening, measures):
    stylized = torch.full((1, 3, *size), 0.4)
    refined = refine_picture(brightening(0.2), stylized, stylized + 0.2, measures)
    assert refined.picture.shape == stylized.shape
    assert refined.choice.alpha == 1
    assert (refined.choice.before.ssim is None) == (min(size) < 11)


def test_measures_are_the_textures_the_distances_and_the_similaritys(stylized, measures):
    found = measures.measure(stylized, stylized)
    expected = GateFigures(abs(stylized.mean().item() - 0.6), 0.0, found.ssim)
    assert found == expected
    assert found.ssim == pytest.approx(1)
