import numpy as np
import pytest
import torch

from stylecore.perception.encoder import build_vgg
from stylecore.perception.smoothing import smooth_activations


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(21)) * 3


def test_smoothing_is_a_softmax_over_channels_and_pixels_with_mean_one(features):
    values = np.exp(features.double().numpy())
    expected = values / values.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(smooth_activations(features).numpy(), expected, rtol=1e-5)


def test_an_image_is_smoothed_without_regard_to_its_neighbours(features):
    alone = torch.cat([smooth_activations(image) for image in features.split(1)])
    torch.testing.assert_close(smooth_activations(features), alone)


def test_large_activations_do_not_overflow(features):
    smoothed = smooth_activations(features + 1e4)
    torch.testing.assert_close(smoothed, smooth_activations(features), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_is_right_and_the_memory_layout_kept(features, layout):
    features = features.double().contiguous(memory_format=layout).requires_grad_(True)
    assert smooth_activations(features).is_contiguous(memory_format=layout)
    assert torch.autograd.gradcheck(smooth_activations, (features,))


def test_an_encoder_smooths_what_it_returns_and_not_what_it_computes_with():
    weights = {f"features.{n}.weight": torch.full((3, 3, 3, 3), 0.1) for n in (0, 2)}
    weights |= {f"features.{n}.bias": torch.zeros(3) for n in (0, 2)}
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(22))
    encoder = build_vgg([2], "max", weights)
    plain = encoder(image, encoder.layer_names)
    encoder.smoothing = "softmax"
    smoothed = encoder(image, encoder.layer_names)
    expected = {name: smooth_activations(features) for name, features in plain.items()}
    torch.testing.assert_close(smoothed, expected)
