import dataclasses
import math

import numpy as np
import pytest
import torch
from style_targets import make_style_target
from torchmetrics.functional.image import structural_similarity_index_measure

from stylecore.metrics import quality
from stylecore.metrics.quality import build_lpips, score_picture
from stylecore.perception.encoder import Encoder, build_encoder
from stylecore.perception.objective import Objective
from stylecore.perception.targets import make_content_target
from stylecore.perception.weights import load_lpips_heads, load_weights

LPIPS_LAYERS = ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]


@pytest.fixture(scope="module")
def vgg16() -> Encoder:
    """The shipped network: the heads of LPIPS fit no other. Pictures are small instead."""
    return build_encoder("vgg16", "max", load_weights("vgg16", None))


@pytest.fixture(scope="module")
def distance(vgg16) -> torch.nn.Module:
    return build_lpips(vgg16)


@pytest.fixture
def content() -> torch.Tensor:
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(10))


@pytest.fixture
def picture(content) -> torch.Tensor:
    noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(11))
    return (content + 0.2 * noise).clamp(0, 1)


def objective_for(content: torch.Tensor, encoder: Encoder) -> Objective:
    height, width = (max(16, side) for side in content.shape[-2:])
    edges = (0, width - content.shape[-1], 0, height - content.shape[-2])
    padded = torch.nn.functional.pad(content, edges, "replicate")
    style = make_style_target(encoder, [(padded.flip(1), 1.0)], ["relu2_1"])
    return Objective(encoder, make_content_target(encoder, padded, ["relu3_1"]), style)


def independent_lpips(encoder: Encoder, first: torch.Tensor, second: torch.Tensor) -> float:
    total = 0.0
    features = [encoder(image, LPIPS_LAYERS) for image in (first, second)]
    for name, head in zip(LPIPS_LAYERS, sorted(load_lpips_heads()), strict=True):
        unit = [
            map_ / (np.linalg.norm(map_, axis=0, keepdims=True) + 1e-10)
            for map_ in (f[name][0].double().numpy() for f in features)
        ]
        heads = load_lpips_heads()[head].double().numpy()[0]
        total += float((heads * (unit[0] - unit[1]) ** 2).sum(axis=0).mean())
    return total


def test_lpips_agrees_with_an_independent_computation(vgg16, distance, content, picture):
    with torch.inference_mode():
        found = distance(picture, content, normalize=True).item()
        expected = independent_lpips(vgg16, picture, content)
    assert found > 0.01
    assert found == pytest.approx(expected, abs=1e-5)


def test_lpips_shares_the_networks_weights(vgg16, distance):
    own = {tensor.data_ptr() for tensor in vgg16.parameters()}
    others = [tensor for tensor in distance.parameters() if tensor.data_ptr() not in own]
    assert sum(tensor.numel() for tensor in others) == 64 + 128 + 256 + 512 + 512


def test_lpips_is_built_in_silence(vgg16, capfd, recwarn):
    build_lpips(vgg16)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_identical_picture_is_perfect(tiny_encoder, distance, content):
    scores = score_picture(content, content, objective_for(content, tiny_encoder), distance)
    assert (scores.content_loss, scores.lpips_content, scores.psnr_content) == (0, 0, None)
    assert scores.ssim_content == pytest.approx(1)


def test_scores_are_those_of_the_objective_and_of_the_measures(
    tiny_encoder, vgg16, distance, content, picture
):
    objective = objective_for(content, tiny_encoder)
    scores = score_picture(content, picture, objective, distance)
    value = objective(picture)
    assert scores.content_loss == pytest.approx(value.content.item())
    assert scores.style_loss == pytest.approx(value.style.item())
    assert scores.total_loss == pytest.approx(value.total.item())
    expected = independent_lpips(vgg16, picture, content)
    assert scores.lpips_content == pytest.approx(expected, abs=1e-5)
    mean_square = ((picture - content) ** 2).mean().item()
    assert scores.psnr_content == pytest.approx(-10 * math.log10(mean_square), abs=1e-3)
    assert 0 < scores.ssim_content < 1


def test_worse_picture_scores_worse(tiny_encoder, distance, content, picture):
    objective = objective_for(content, tiny_encoder)
    near = score_picture(content, picture, objective, distance)
    far = score_picture(content, 1 - content, objective, distance)
    assert far.lpips_content > near.lpips_content
    assert far.ssim_content < near.ssim_content
    assert far.psnr_content < near.psnr_content


@pytest.mark.parametrize(("side", "has_ssim"), [(1, False), (10, False), (11, True)])
def test_tiny_picture_has_every_score_that_is_defined(tiny_encoder, distance, side, has_ssim):
    content = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(12))
    scores = score_picture(content, 1 - content, objective_for(content, tiny_encoder), distance)
    undefined = {name for name, value in dataclasses.asdict(scores).items() if value is None}
    assert undefined == (set() if has_ssim else {"ssim_content"})


def test_picture_that_is_not_finite_has_no_figures_rather_than_nan(tiny_encoder, distance, content):
    objective = objective_for(content, tiny_encoder)
    scores = score_picture(content, content * math.nan, objective, distance)
    assert set(dataclasses.asdict(scores).values()) == {None}


@pytest.mark.parametrize(
    ("height", "width"), [(11, 11), (64, 30), (65, 30), (69, 31), (75, 12), (130, 33)]
)
def test_similarity_by_bands_is_that_of_the_whole_picture(monkeypatch, height, width):
    """Bands of 64 rows: the last is anything from one row to a whole band."""
    monkeypatch.setattr(quality, "_BAND_PX", 1)
    first, second = torch.rand(2, 1, 3, height, width, generator=torch.Generator().manual_seed(13))
    whole = structural_similarity_index_measure(first, second, data_range=1.0).item()
    assert quality.ssim(first, second) == pytest.approx(whole, abs=1e-6)


def test_similarity_never_sees_more_than_a_band(monkeypatch):
    """The measure takes 700 bytes a pixel that it sees."""
    seen = []

    def measure(picture, *others, **settings):
        seen.append(picture.shape[-2] * picture.shape[-1])
        return structural_similarity_index_measure(picture, *others, **settings)

    monkeypatch.setattr(quality, "structural_similarity_index_measure", measure)
    picture = torch.rand(1, 3, 1500, 700, generator=torch.Generator().manual_seed(14))
    assert quality.ssim(picture, picture) == pytest.approx(1)
    assert max(seen) < 1.1 * quality._BAND_PX
