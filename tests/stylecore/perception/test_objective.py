from pathlib import Path

import numpy as np
import pytest
import torch
from style_targets import make_style_target

from stylecore.images.codec import decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content, resize_style
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import build_encoder
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import make_content_target
from stylecore.perception.weights import load_weights
from stylecore.settings import OptimizeSettings

CONTENT_LAYERS = ["relu4_2"]
STYLE_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
WEIGHTS = LossWeights(content=2.0, style=30.0, tv=0.5)


@pytest.fixture
def contents() -> torch.Tensor:
    return torch.rand(3, 3, 16, 17, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def pictures(contents) -> torch.Tensor:
    return contents.roll(1, dims=0).flip(2)


@pytest.fixture
def objective(tiny_encoder, contents) -> Objective:
    painting = torch.rand(1, 3, 20, 16, generator=torch.Generator().manual_seed(8))
    content = make_content_target(tiny_encoder, contents, CONTENT_LAYERS)
    style = make_style_target(tiny_encoder, [(painting, 1.0)], STYLE_LAYERS)
    return Objective(tiny_encoder, content, style, WEIGHTS)


def test_objective_equals_an_independent_computation(objective, pictures):
    encoded = objective.encoder(pictures, [*CONTENT_LAYERS, *STYLE_LAYERS])
    features = {name: map_.double().numpy() for name, map_ in encoded.items()}
    target = objective.content.features["relu4_2"].double().numpy()
    content = ((features["relu4_2"] - target) ** 2).mean(axis=(1, 2, 3))
    style = np.zeros(3)
    for name in STYLE_LAYERS:
        _, channels, height, width = features[name].shape
        gram = np.einsum("bchw,bdhw->bcd", features[name], features[name])
        gram /= channels * height * width
        style += ((gram - objective.style.regions[0].grams[name].numpy()) ** 2).mean(axis=(1, 2))
    value = objective(pictures)
    np.testing.assert_allclose(value.content.numpy(), content, rtol=1e-4)
    np.testing.assert_allclose(value.style.numpy(), style, rtol=1e-4)
    expected = 2 * content + 30 * style + 0.5 * value.tv.numpy()
    np.testing.assert_allclose(value.total.numpy(), expected, rtol=1e-4)


def test_default_weights_and_layers_are_the_reference_objective():
    settings = OptimizeSettings()
    assert list(settings.content_layers) == CONTENT_LAYERS
    assert list(settings.style_layers) == STYLE_LAYERS
    weights = LossWeights(settings.content_weight, settings.style_weight, settings.tv_weight)
    assert weights == LossWeights() == LossWeights(content=1.0, style=1e6, tv=0.0)


def test_content_image_itself_has_no_content_loss(objective, contents):
    value = objective(contents)
    assert value.content.tolist() == [0, 0, 0]
    assert (value.total > 0).all()


def test_permuting_the_batch_permutes_the_losses(objective, pictures):
    order = [2, 0, 1]
    shuffled = objective.select(order)(pictures[order])
    torch.testing.assert_close(shuffled.total, objective(pictures).total[order])


def test_part_of_the_batch_has_the_losses_it_had_in_the_batch(objective, pictures):
    part = objective.select([1])(pictures[1:2])
    torch.testing.assert_close(part.total, objective(pictures).total[1:2])


def test_every_picture_gets_the_gradient_it_would_get_alone(objective, pictures):
    batch = pictures.clone().requires_grad_(True)
    objective(batch).total.sum().backward()
    alone = pictures[2:].clone().requires_grad_(True)
    objective.select([2])(alone).total.sum().backward()
    torch.testing.assert_close(batch.grad[2:], alone.grad)


def test_one_pass_through_the_network_serves_all_losses(objective, pictures):
    passes: list[int] = []
    objective.encoder.stages["relu1_1"].register_forward_hook(lambda *_: passes.append(1))
    objective(pictures)
    assert len(passes) == 1


def test_gradient_agrees_with_finite_differences_in_double_precision(tiny_encoder):
    encoder = tiny_encoder.double()
    content, picture, painting = torch.rand(
        3, 1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(9)
    )
    target = make_content_target(encoder, content, CONTENT_LAYERS)
    style = make_style_target(encoder, [(painting, 1.0)], STYLE_LAYERS)
    objective = Objective(encoder, target, style, WEIGHTS)
    picture.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: objective(x).total, (picture,), fast_mode=False)


@pytest.mark.slow
def test_shipped_network_scores_the_sample_content_as_measured():
    """Measured once: guards weights, resize and objective together."""
    samples = Path(__file__).parents[3] / "deployments" / "samples"
    limits = DecodeLimits(max_bytes=2**20, max_pixels=2**20)
    photo, painting = (
        decode_image((samples / name).read_bytes(), name, limits)
        for name in ("content/astronaut.jpg", "style/great_wave.jpg")
    )
    content = to_batch([resize_content(photo, 256)])
    style = to_batch([resize_style(painting, 256)])
    encoder = build_encoder("vgg16", "max", load_weights("vgg16", None))
    objective = Objective(
        encoder,
        make_content_target(encoder, content, CONTENT_LAYERS),
        make_style_target(encoder, [(style, 1.0)], STYLE_LAYERS),
    )
    with torch.inference_mode():
        assert objective(content).total.item() == pytest.approx(684.8, rel=1e-3)
