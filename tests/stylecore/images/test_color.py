import pytest
import torch

from stylecore.images.color import match_color
from stylecore.types import ImageBatch


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


def test_mean_and_covariance_become_the_target_s():
    image, target = picture(1), picture(2, (30, 20))
    mean, covariance = statistics(match_color(image, target))
    target_mean, target_covariance = statistics(target)
    torch.testing.assert_close(mean, target_mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance, target_covariance, atol=5e-4, rtol=0.05)


def test_a_picture_in_its_own_colors_is_unchanged():
    torch.testing.assert_close(match_color(picture(1), picture(1)), picture(1))


def test_a_flat_picture_takes_the_target_s_mean():
    flat = torch.full((1, 3, 4, 4), 0.25)
    matched = match_color(flat, picture(1))
    expected = statistics(picture(1))[0].float().reshape(1, 3, 1, 1).expand_as(matched)
    torch.testing.assert_close(matched, expected)


def test_the_grain_of_a_nearly_flat_picture_is_not_stretched_to_the_whole_range():
    grain = 0.5 + 0.001 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    matched = match_color(grain, torch.rand(1, 3, 64, 64))
    assert matched.std() < 0.05


def test_a_flat_target_and_a_single_pixel_are_answered():
    for image in (picture(1), torch.zeros(1, 3, 1, 1)):
        matched = match_color(image, torch.ones(1, 3, 1, 1))
        assert matched.isfinite().all()
        torch.testing.assert_close(matched.mean(), torch.tensor(1.0), atol=0.05, rtol=0)


def test_the_result_stays_in_range():
    black_and_white = torch.rand(1, 3, 16, 16).round()
    matched = match_color(picture(1), black_and_white)
    assert matched.min() >= 0
    assert matched.max() <= 1


def test_exchanging_channels_exchanges_those_of_the_result():
    image, target, order = picture(1), picture(2), [2, 0, 1]
    turned = match_color(image[:, order], target[:, order])
    torch.testing.assert_close(turned, match_color(image, target)[:, order])


@pytest.mark.parametrize("num_targets", [1, 3])
def test_every_picture_of_a_batch_is_matched_by_itself(num_targets):
    images = torch.cat([picture(seed) for seed in range(3)])
    targets = torch.cat([picture(10 + seed) for seed in range(num_targets)])
    together = match_color(images, targets)
    for i in range(3):
        alone = match_color(images[i : i + 1], targets[min(i, num_targets - 1)][None])
        torch.testing.assert_close(together[i : i + 1], alone)
