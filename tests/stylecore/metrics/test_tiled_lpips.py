import pytest
import torch
from style_targets import make_style_target

from stylecore.metrics.quality import build_lpips, score_picture
from stylecore.metrics.tiled import TiledLpips
from stylecore.perception.encoder import build_encoder
from stylecore.perception.objective import Objective
from stylecore.perception.targets import make_content_target
from stylecore.perception.tiled import TiledObjective
from stylecore.perception.weights import load_weights


@pytest.fixture(scope="module")
def distance() -> torch.nn.Module:
    return build_lpips(build_encoder("vgg16", "max", load_weights("vgg16", None)))


def random_pairs(count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(2, count, 3, height, width, generator=generator)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "core_px"), [(30, 245, 32), (113, 16, 16), (35, 32, 64)]
)
def test_distance_is_that_of_whole_pictures(distance, height, width, core_px, normalize):
    first, second = random_pairs(2, height, width)
    with torch.inference_mode():
        found = TiledLpips(distance, core_px)(first, second, normalize=normalize)
        expected = distance(first, second, normalize=normalize)
    assert found.unique().numel() == 2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_scores_by_tiles_are_those_of_whole_pictures(distance, tiny_encoder):
    content, picture = random_pairs(1, 50, 133)
    objective = Objective(
        tiny_encoder,
        make_content_target(tiny_encoder, content, ["relu4_2"]),
        make_style_target(tiny_encoder, [(content.flip(1), 1.0)], ["relu2_1", "relu5_1"]),
    )
    tiled = TiledObjective(
        objective.encoder, objective.content, objective.style, objective.weights, core_px=48
    )
    whole = score_picture(content, picture, objective, distance)
    found = score_picture(content, picture, tiled, TiledLpips(distance, 48))
    assert vars(found) == pytest.approx(vars(whole), rel=1e-5)
