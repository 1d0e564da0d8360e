import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.images.color import (
    luminance_of,
    match_color,
    match_color_cholesky,
    match_histogram,
    with_color_of,
)
from stylecore.types import ImageBatch

LINEAR = [match_color, match_color_cholesky]
ALL = [*LINEAR, match_histogram]
PIXELS = st.lists(st.integers(0, 255), min_size=3, max_size=3)


def picture(seed: int, size: tuple[int, int] = (40, 60)) -> ImageBatch:
    """Correlated colors that stay inside [0, 1], so that nothing is clamped."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.rand(3, 3, generator=random) * 0.25
    noise = torch.rand(3, size[0] * size[1], generator=random) - 0.5
    center = 0.4 + 0.2 * torch.rand(3, 1, generator=random)
    return (center + mixing @ noise).reshape(1, 3, *size)


def statistics(image: ImageBatch) -> tuple[torch.Tensor, torch.Tensor]:
    colors = image[0].flatten(1).double()
    return colors.mean(1), torch.cov(colors, correction=0)


@pytest.mark.parametrize("match", LINEAR)
def test_mean_and_covariance_become_the_target_s(match):
    image, target = picture(1), picture(2, (30, 20))
    mean, covariance = statistics(match(image, target))
    target_mean, target_covariance = statistics(target)
    torch.testing.assert_close(mean, target_mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance, target_covariance, atol=5e-4, rtol=0.05)


@pytest.mark.parametrize("match", ALL)
def test_a_picture_in_its_own_colors_is_unchanged(match):
    torch.testing.assert_close(match(picture(1), picture(1)), picture(1))


@pytest.mark.parametrize("match", LINEAR)
def test_a_flat_picture_takes_the_target_s_mean(match):
    flat = torch.full((1, 3, 4, 4), 0.25)
    matched = match(flat, picture(1))
    expected = statistics(picture(1))[0].float().reshape(1, 3, 1, 1).expand_as(matched)
    torch.testing.assert_close(matched, expected)


@pytest.mark.parametrize("match", LINEAR)
def test_the_grain_of_a_nearly_flat_picture_is_not_stretched_to_the_whole_range(match):
    grain = 0.5 + 0.001 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    matched = match(grain, torch.rand(1, 3, 64, 64))
    assert matched.std() < 0.05


@pytest.mark.parametrize("match", ALL)
def test_a_flat_target_and_a_single_pixel_are_answered(match):
    for image in (picture(1), torch.zeros(1, 3, 1, 1)):
        matched = match(image, torch.ones(1, 3, 1, 1))
        assert matched.isfinite().all()
        torch.testing.assert_close(matched.mean(), torch.tensor(1.0), atol=0.05, rtol=0)


@pytest.mark.parametrize("match", ALL)
def test_the_result_stays_in_range(match):
    black_and_white = torch.rand(1, 3, 16, 16).round()
    matched = match(picture(1), black_and_white)
    assert matched.min() >= 0
    assert matched.max() <= 1


@pytest.mark.parametrize("match", [match_color, match_histogram])
def test_exchanging_channels_exchanges_those_of_the_result(match):
    image, target, order = picture(1), picture(2), [2, 0, 1]
    turned = match(image[:, order], target[:, order])
    torch.testing.assert_close(turned, match(image, target)[:, order])


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("match", ALL)
def test_every_picture_of_a_batch_is_matched_by_itself(match, num_targets):
    images = torch.cat([picture(seed) for seed in range(3)])
    targets = torch.cat([picture(10 + seed) for seed in range(num_targets)])
    together = match(images, targets)
    for i in range(3):
        alone = match(images[i : i + 1], targets[min(i, num_targets - 1)][None])
        torch.testing.assert_close(together[i : i + 1], alone)


def numpy_cholesky(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gatys et al. 2016 as written, on colors of shape (n, 3), with the same noise added."""
    source, wanted = (
        np.linalg.cholesky(np.cov(colors.T, bias=True) + 1e-4 * np.eye(3))
        for colors in (image, target)
    )
    color_map = wanted @ np.linalg.inv(source)
    return (image - image.mean(0)) @ color_map.T + target.mean(0)


def test_cholesky_agrees_with_an_independent_computation():
    image, target = picture(1).double(), picture(2, (30, 20)).double()
    expected = numpy_cholesky(*(p[0].flatten(1).T.numpy() for p in (image, target)))
    matched = match_color_cholesky(image, target)[0].flatten(1).T.numpy()
    np.testing.assert_allclose(matched, expected.clip(0, 1), atol=1e-9)


def numpy_histogram(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    quantiles = (np.cumsum(counts) - counts / 2) / values.size
    at = (np.arange(target.size) + 0.5) / target.size
    return np.interp(quantiles, at, np.sort(target.ravel()))[inverse].reshape(values.shape)


@pytest.mark.parametrize(("levels", "target_size"), [(5, (7, 9)), (256, (64, 40)), (2, (1, 1))])
def test_histograms_agree_with_an_independent_computation(levels, target_size):
    random = np.random.default_rng(levels)
    image = random.integers(0, levels, (1, 3, 31, 17)) / levels
    target = random.integers(0, 256, (1, 3, *target_size)) / 255
    matched = match_histogram(torch.from_numpy(image), torch.from_numpy(target)).numpy()
    for channel in range(3):
        expected = numpy_histogram(image[0, channel], target[0, channel])
        np.testing.assert_allclose(matched[0, channel], expected, atol=1e-12)


def test_a_picture_without_equal_values_takes_exactly_the_target_s():
    target = picture(2)
    ramp = torch.arange(target[0, 0].numel()).roll(700).div(target[0, 0].numel())
    matched = match_histogram(ramp.expand(1, 3, -1).reshape(target.shape), target).flatten(2)
    torch.testing.assert_close(matched.sort().values, target.flatten(2).sort().values)


def test_histogram_matching_keeps_the_order_of_values():
    image = picture(1)
    matched = match_histogram(image, torch.rand(1, 3, 8, 8)).flatten(2)
    order = image.flatten(2).argsort()
    assert (matched.gather(2, order).diff() >= 0).all()


def test_equal_values_stay_equal():
    striped = torch.tensor([0.2, 0.2, 0.7, 0.2]).repeat(1, 3, 8, 8)
    matched = match_histogram(striped, picture(2))
    assert all(len(channel.unique()) == 2 for channel in matched[0])


def test_luminance_is_that_of_rec_601():
    primaries = torch.eye(3).reshape(1, 3, 1, 3)
    expected = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 1, 1, 3)
    torch.testing.assert_close(luminance_of(primaries), expected)
    grey = torch.full((2, 3, 4, 5), 0.3)
    torch.testing.assert_close(luminance_of(grey), grey[:, :1])


@settings(deadline=None)
@given(PIXELS, PIXELS)
def test_luminance_comes_from_the_result_and_hue_from_the_photograph(made, photographed):
    result, content = (
        torch.tensor(levels).double().reshape(1, 3, 1, 1) / 255 for levels in (made, photographed)
    )
    colored = with_color_of(result, content)
    assert colored.min() >= 0
    assert colored.max() <= 1
    torch.testing.assert_close(luminance_of(colored), luminance_of(result))
    chroma, wanted = (image - luminance_of(image) for image in (colored, content))
    assert (chroma * wanted >= -1e-12).all()
    torch.testing.assert_close(chroma[0, 0] * wanted[0, 1], chroma[0, 1] * wanted[0, 0])


def test_chroma_is_kept_as_it_is_where_it_has_room():
    """Against YIQ by its published matrix."""
    to_yiq = np.array(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
    )
    result, content = 0.45 + 0.1 * torch.rand(1, 3, 6, 7), 0.4 + 0.2 * torch.rand(1, 3, 6, 7)
    y, _, _ = to_yiq @ result[0].flatten(1).numpy()
    _, i, q = to_yiq @ content[0].flatten(1).numpy()
    expected = np.linalg.solve(to_yiq, np.stack([y, i, q]))
    colored = with_color_of(result, content)[0].flatten(1).numpy()
    np.testing.assert_allclose(colored, expected, atol=1e-4)


def test_a_photograph_has_its_own_color():
    torch.testing.assert_close(with_color_of(picture(1), picture(1)), picture(1))


def test_color_has_no_place_in_black_and_white():
    extremes = torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)
    torch.testing.assert_close(with_color_of(extremes, torch.rand(1, 3, 1, 2)), extremes)
