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


def test_content_loss_is_one_mean_square_per_image(features):
    target = features.roll(1, dims=0)
    expected = ((features - target).numpy() ** 2).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(content_loss(features, target).numpy(), expected, rtol=1e-5)


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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_gram_matrix_is_right_in_either_memory_layout(features, layout):
    features = features.double().contiguous(memory_format=layout).requires_grad_(True)
    assert torch.autograd.gradcheck(gram_matrix, (features,))
    weights = torch.rand(3, 4, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((gram_matrix(features) * weights).sum(), features)
    assert gradient.is_contiguous(memory_format=layout)
