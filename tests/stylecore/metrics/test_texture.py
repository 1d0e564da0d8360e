"""Texture measures: what they must not see, what they must, and what they come to."""

import numpy as np
import pytest
import torch
from PIL import Image
from sample_images import POPPIES, SAMPLES

from stylecore.images.resize import resize_style
from stylecore.images.tensors import to_batch
from stylecore.metrics.texture import TextureMeasures

MEASURES = ("fdrl", "swdl")
SUMMERTIME = SAMPLES / "style" / "summertime.jpg"


def painting(path=POPPIES, longest_side_px: int = 256) -> torch.Tensor:
    with Image.open(path) as image:
        return to_batch([resize_style(np.array(image.convert("RGB")), longest_side_px)])


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def poppies() -> torch.Tensor:
    return painting()


@pytest.fixture(scope="module")
def measures(poppies) -> TextureMeasures:
    return TextureMeasures([poppies])


@pytest.mark.parametrize("name", MEASURES)
def test_the_painting_itself_is_no_distance_away(measures, poppies, name):
    assert getattr(measures, name)(poppies) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_contrast_brightness_and_hue_are_no_texture(measures, poppies, name):
    measure = getattr(measures, name)
    assert measure(0.5 * poppies + 0.3) == pytest.approx(0, abs=1e-5)
    blue = 0.25 * (poppies - 0.5) + torch.tensor([0.2, 0.3, 0.6]).view(1, 3, 1, 1)
    assert measure(blue) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_blur_and_noise_are_further_away_the_stronger_they_are(measures, poppies, name):
    measure = getattr(measures, name)
    grain = torch.randn(poppies.shape, generator=torch.Generator().manual_seed(1))
    blurred = [torch.nn.functional.avg_pool2d(poppies, side, 1, side // 2) for side in (3, 7)]
    grainy = [poppies + strength * grain for strength in (0.1, 0.3)]
    for weak, strong in (blurred, grainy):
        assert 0.005 < measure(weak) < measure(strong)


@pytest.mark.parametrize("name", MEASURES)
def test_parts_of_a_painting_are_closer_to_its_other_parts_than_parts_of_another(name):
    first, second, third, fourth = quarters(painting(SUMMERTIME, 512))
    measure = getattr(TextureMeasures([first, fourth]), name)
    own = (measure(second) + measure(third)) / 2
    for other in ("poppies", "moulin_de_la_galette", "village_street_auvers"):
        theirs = quarters(painting(SAMPLES / "style" / f"{other}.jpg", 512))
        assert 0 < own < 0.85 * sum(map(measure, theirs)) / 4


def quarters(picture: torch.Tensor) -> list[torch.Tensor]:
    halves = picture.tensor_split(2, dim=2)
    return [quarter for half in halves for quarter in half.tensor_split(2, dim=3)]


@pytest.mark.parametrize("name", MEASURES)
def test_mirroring_a_picture_changes_composition_and_next_to_no_texture(measures, poppies, name):
    measure = getattr(measures, name)
    assert measure(poppies.flip(3)) < 0.4 * measure(painting(SUMMERTIME))


@pytest.mark.parametrize("name", MEASURES)
def test_the_same_seed_gives_the_same_figure_and_another_one_nearly(poppies, name):
    other = painting(SUMMERTIME)
    first, again, third = (
        getattr(TextureMeasures([poppies], seed), name)(other) for seed in (3, 3, 4)
    )
    assert first == again != third
    assert first == pytest.approx(third, rel=0.35)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("size", [(16, 16), (17, 40), (1, 1), (300, 31), (65, 129)])
def test_any_size_can_be_measured(name, size):
    judge = TextureMeasures([noise(*size)])
    assert getattr(judge, name)(noise(*size)) == pytest.approx(0, abs=1e-4)
    assert getattr(judge, name)(noise(*size, seed=1)) >= 0


@pytest.mark.parametrize("name", MEASURES)
def test_a_picture_without_texture_is_far_away_and_no_error(measures, name):
    flat = getattr(measures, name)(torch.full((1, 3, 64, 64), 0.5))
    assert 0.5 < flat < 5


@pytest.mark.parametrize("name", MEASURES)
def test_of_several_paintings_each_counts_alike(poppies, name):
    summertime = painting(SUMMERTIME)
    both = getattr(TextureMeasures([poppies, summertime]), name)
    alone = getattr(TextureMeasures([poppies]), name)
    assert 0 < both(poppies) < alone(summertime)
    assert 0 < both(summertime) < alone(summertime)
    three = getattr(TextureMeasures([poppies, poppies, summertime]), name)
    assert three(poppies) < both(poppies)


def test_fdrl_is_the_frechet_distance_between_the_features_of_all_positions(monkeypatch):
    monkeypatch.setattr("stylecore.metrics.texture._MAX_LEVELS", 1)
    monkeypatch.setattr("stylecore.metrics.texture._BAND_PIXELS", 200)
    first, second = noise(40, 30), noise(36, 44, seed=1) ** 2
    judge = TextureMeasures([first])
    expected = independent_frechet(features_of(judge, first), features_of(judge, second))
    assert judge.fdrl(second) == pytest.approx(expected, rel=1e-3)


def features_of(judge: TextureMeasures, picture: torch.Tensor) -> np.ndarray:
    luma = (picture * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    luma = (luma - luma.mean()) / luma.std(correction=0)
    network = judge._network
    hidden = torch.nn.functional.conv2d(luma, network.first).abs()
    found = torch.nn.functional.conv2d(hidden, network.second).relu()
    return found[0].flatten(1).T.double().numpy()


def independent_frechet(first: np.ndarray, second: np.ndarray) -> float:
    (one, other) = (np.cov(features.T, bias=True) for features in (first, second))
    means = ((first.mean(0) - second.mean(0)) ** 2).sum()
    # The trace of the root of a product is the sum of the roots of its eigenvalues.
    shared = np.sqrt(np.linalg.eigvals(one @ other).real.clip(min=0)).sum()
    return float((means + np.trace(one + other) - 2 * shared) / np.trace(one))


def test_swdl_is_the_wasserstein_distance_of_patches_along_each_direction(monkeypatch):
    monkeypatch.setattr("stylecore.metrics.texture._MAX_LEVELS", 1)
    monkeypatch.setattr("stylecore.metrics.texture._NUM_QUANTILES", 26 * 26)
    first, second = noise(32, 32), noise(32, 32, seed=1) ** 3
    judge = TextureMeasures([first])
    slices = [slices_of(judge, picture) for picture in (first, second)]
    from scipy.stats import wasserstein_distance

    distances = [wasserstein_distance(a, b) for a, b in zip(*slices, strict=True)]
    expected = np.mean(distances) / np.sqrt((slices[0] ** 2).mean())
    assert judge.swdl(second) == pytest.approx(expected, rel=1e-3)


def slices_of(judge: TextureMeasures, picture: torch.Tensor) -> np.ndarray:
    luma = (picture * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    luma = ((luma - luma.mean()) / luma.std(correction=0))[0, 0].numpy()
    taps = np.array([1, 4, 6, 4, 1]) / 16
    smooth = np.pad(luma, 2, mode="reflect")
    for axis in (0, 1):
        smooth = np.apply_along_axis(np.convolve, axis, smooth, taps, "valid")
    windows = np.lib.stride_tricks.sliding_window_view(luma - smooth, (7, 7))
    return judge._slices.directions.numpy() @ windows.reshape(-1, 49).T


@pytest.mark.gpu
@pytest.mark.parametrize("name", MEASURES)
def test_a_gpu_measures_the_same(measures, poppies, name):
    other = painting(SUMMERTIME)
    there = TextureMeasures([poppies.cuda()])
    expected = getattr(measures, name)(other)
    assert getattr(there, name)(other.cuda()) == pytest.approx(expected, rel=2e-2)
