import numpy as np
import pytest
import torch

from stylecore.generate.adain import (
    ChannelStatistics,
    adapt,
    measure_channels,
    measure_pixels,
    mix_channels,
)


def features(seed: int, num: int = 2, channels: int = 5) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(num, channels, 7, 9, generator=random) + 1


def give(maps: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    return adapt(maps, measure_channels(maps), statistics)


def test_statistics_are_those_that_numpy_finds():
    maps = features(0)
    found = measure_channels(maps)
    values = maps.numpy().astype(np.float64)
    np.testing.assert_allclose(found.mean, values.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.deviation, values.std(axis=(2, 3)), rtol=1e-5)


def test_adapted_features_have_the_statistics_that_are_wanted():
    wanted = measure_channels(features(1))
    found = measure_channels(give(features(2), wanted))
    torch.testing.assert_close(found.mean, wanted.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.deviation, wanted.deviation, rtol=1e-4, atol=1e-5)


def test_adapting_is_the_equation_of_the_paper():
    maps, wanted = features(3), measure_channels(features(4))
    own = measure_channels(maps)
    normal = (maps - own.mean[..., None, None]) / own.deviation[..., None, None]
    expected = wanted.deviation[..., None, None] * normal + wanted.mean[..., None, None]
    torch.testing.assert_close(give(maps, wanted), expected)


def test_own_statistics_change_nothing():
    maps = features(5)
    torch.testing.assert_close(give(maps, measure_channels(maps)), maps)


def test_features_that_do_not_vary_become_the_mean_of_the_style():
    wanted = measure_channels(features(6))
    found = give(torch.full((2, 5, 7, 9), 4.0), wanted)
    torch.testing.assert_close(found, wanted.mean[..., None, None].expand_as(found))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_mixing_statistics_is_mixing_features_as_the_paper_does(alpha):
    maps, style = features(7), measure_channels(features(8))
    mixed = mix_channels(measure_channels(maps), style, torch.full((2,), alpha))
    expected = (1 - alpha) * maps + alpha * give(maps, style)
    torch.testing.assert_close(give(maps, mixed), expected, rtol=1e-4, atol=1e-5)


def test_one_style_is_for_all_photographs():
    maps, style = features(9), measure_channels(features(10, num=1))
    each = ChannelStatistics(style.mean.expand(2, -1), style.deviation.expand(2, -1))
    assert torch.equal(give(maps, style), give(maps, each))


def test_flat_photograph_is_not_blown_up_to_the_contrast_of_the_style():
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    nearly_flat, style = 0.5 + noise / 255, measure_pixels((0.5 + noise / 4).clamp(0, 1))
    found = adapt(nearly_flat, measure_pixels(nearly_flat), style)
    assert found.std() < 0.05
