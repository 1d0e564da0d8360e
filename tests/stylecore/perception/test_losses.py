import itertools

import numpy as np
import pytest
import torch

from stylecore.perception.losses import content_loss, gram_matrix, style_loss, total_variation


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))


def test_gram_matrix_equals_a_sum_pixel_by_pixel(features):
    values = features.double().numpy()
    expected = np.zeros((3, 4, 4))
    for y, x in itertools.product(range(5), range(6)):
        for image in range(3):
            expected[image] += np.outer(values[image, :, y, x], values[image, :, y, x])
    expected /= 4 * 5 * 6
    np.testing.assert_allclose(gram_matrix(features).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_gram_matrix_does_not_depend_on_image_size(features):
    torch.testing.assert_close(gram_matrix(features.repeat(1, 1, 3, 2)), gram_matrix(features))


def test_gram_matrix_does_not_depend_on_where_things_are(features):
    torch.testing.assert_close(gram_matrix(features.flip(2, 3)), gram_matrix(features))


@pytest.fixture
def guide() -> torch.Tensor:
    return torch.rand(3, 1, 5, 6, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("is_centred", [False, True])
def test_guided_gram_matrix_equals_a_weighted_sum_pixel_by_pixel(features, guide, is_centred):
    values, weights = features.double().numpy(), guide[:, 0].double().numpy() ** 2
    expected = np.zeros((3, 4, 4))
    for image in range(3):
        mean = np.zeros(4)
        for y, x in itertools.product(range(5), range(6)):
            mean += weights[image, y, x] * values[image, :, y, x] / weights[image].sum()
        for y, x in itertools.product(range(5), range(6)):
            pixel = values[image, :, y, x] - (mean if is_centred else 0)
            expected[image] += weights[image, y, x] * np.outer(pixel, pixel)
        expected[image] /= 4 * weights[image].sum()
    found = gram_matrix(features, guide, is_centred)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_centred_gram_matrix_is_the_covariance(features):
    expected = [np.cov(image.flatten(1).double().numpy(), bias=True) / 4 for image in features]
    found = gram_matrix(features, is_centred=True)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_centred_gram_matrix_does_not_see_the_mean(features):
    brighter = features + torch.arange(4).view(1, 4, 1, 1)
    expected = gram_matrix(features, is_centred=True)
    torch.testing.assert_close(gram_matrix(brighter, is_centred=True), expected)


@pytest.mark.parametrize("is_centred", [False, True])
def test_a_guide_of_ones_changes_nothing(features, is_centred):
    guided = gram_matrix(features, torch.ones(1, 1, 5, 6), is_centred)
    expected = gram_matrix(features, is_centred=is_centred)
    torch.testing.assert_close(guided, expected, rtol=1e-6, atol=1e-7)


def test_a_guide_that_cuts_off_equals_the_part_that_is_left(features):
    guide = torch.zeros(1, 1, 5, 6)
    guide[..., :4] = 1
    torch.testing.assert_close(gram_matrix(features, guide), gram_matrix(features[..., :4]))


def test_how_strong_a_guide_is_throughout_does_not_matter(features, guide):
    torch.testing.assert_close(gram_matrix(features, guide * 0.3), gram_matrix(features, guide))


@pytest.mark.parametrize("is_centred", [False, True])
def test_an_empty_guide_has_no_statistics_and_no_gradient(features, is_centred):
    features.requires_grad_(True)
    gram = gram_matrix(features, torch.zeros(1, 1, 5, 6), is_centred)
    gram.sum().backward()
    assert not gram.any()
    assert not features.grad.any()


def test_content_loss_is_one_mean_square_per_image(features):
    target = features.roll(1, dims=0)
    expected = ((features - target).numpy() ** 2).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(content_loss(features, target).numpy(), expected, rtol=1e-5)


def test_a_power_makes_a_difference_in_one_place_cost_more_than_the_same_in_all():
    target = torch.zeros(2, 3, 4, 4)
    spread, gathered = torch.ones(3, 4, 4), torch.zeros(3, 4, 4)
    gathered[:, 1, 2] = 4.0  # 16 times the square in one of 16 places
    features = torch.stack([spread, gathered])
    assert content_loss(features, target).tolist() == pytest.approx([1.0, 1.0])
    assert content_loss(features, target, power=2).tolist() == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("power", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("difference", [0.0, 300.0])
def test_a_power_leaves_neither_loss_nor_gradient_without_bounds(power, difference):
    features = torch.full((1, 3, 4, 4), difference, requires_grad=True)
    loss = content_loss(features, torch.zeros(1, 3, 4, 4), power)
    loss.sum().backward()
    assert loss.item() == pytest.approx(difference**2, abs=1e-9)
    assert features.grad.isfinite().all()


def test_style_loss_compares_every_image_with_the_one_style(features):
    grams = gram_matrix(features)
    values = grams.double().numpy()
    expected = [((gram - values[1]) ** 2).mean() for gram in values]
    found = style_loss(grams, grams[1:2])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert found[1] == 0


def test_total_variation_counts_steps_across_and_down():
    flat = torch.full((1, 3, 16, 20), 0.3)
    across, down = flat.clone(), flat.clone()
    across[..., 10:] += 0.5  # one of the 19 steps across
    down[:, :, 8:] += 0.5  # one of the 15 steps down
    found = total_variation(torch.cat([flat, across, down]))
    torch.testing.assert_close(found, torch.tensor([0, 0.25 / 19, 0.25 / 15]))


@pytest.mark.parametrize("is_centred", [False, True])
@pytest.mark.parametrize("is_guided", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_gram_matrix_is_right_in_either_memory_layout(
    features, guide, layout, is_guided, is_centred
):
    features = features.double().contiguous(memory_format=layout).requires_grad_(True)
    guide = guide.double() if is_guided else None
    assert torch.autograd.gradcheck(lambda x: gram_matrix(x, guide, is_centred), (features,))
    weights = torch.rand(3, 4, 4, dtype=torch.float64)
    weighted = (gram_matrix(features, guide, is_centred) * weights).sum()
    (gradient,) = torch.autograd.grad(weighted, features)
    assert gradient.is_contiguous(memory_format=layout)
