"""Every method on two small pictures."""

from pathlib import Path

import numpy as np
import pytest
from golden_pictures import compare
from PIL import Image
from sample_images import GREAT_WAVE, SAMPLES, crop_jpeg

from stylecore.config import StylizeJob
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, StylePainting, Stylizer, StylizerInputs, build_stylizer
from stylecore.stylizer.optimize import OptimizeStylizer

OFFSETS = {"astronaut": 60, "coffee": 90}
METHODS = {
    "lbfgs": {"optimizer": "lbfgs"},
    "adam": {"optimizer": "adam", "init": "color-matched"},
}


def read_piece(path: Path, offset: int) -> RgbImage:
    data = crop_jpeg(path, (64, 64), offset)
    return decode_image(data, path.name, DecodeLimits(10**6, 10**6))


def make_picture(stylizer: Stylizer, name: str) -> RgbImage:
    pixels = read_piece(SAMPLES / "content" / f"{name}.jpg", OFFSETS[name])
    (stylized,) = stylizer.stylize([Content(0, pixels)])
    return stylized.pixels


def job(method: str, **settings) -> StylizeJob:
    return StylizeJob(
        manifest_uri="memory", output_uri="memory", method=method, device="cpu", optimize=settings
    )


@pytest.mark.parametrize("name", OFFSETS)
@pytest.mark.parametrize("method", METHODS)
def test_optimize_still_makes_the_same_picture(check_golden, tiny_encoder, method, name):
    styles = [StylePainting(read_piece(GREAT_WAVE, 60))]
    settings = METHODS[method] | {"num_evaluations": 12}
    stylizer = OptimizeStylizer(
        job("optimize", **settings), styles, StylizerInputs(), Watch(), tiny_encoder
    )
    check_golden(f"optimize-{method}-{name}", make_picture(stylizer, name))


@pytest.mark.parametrize("name", OFFSETS)
def test_identity_still_makes_the_same_picture(check_golden, name):
    check_golden(f"identity-{name}", make_picture(build_stylizer(job("identity"), []), name))


@pytest.fixture
def picture() -> RgbImage:
    return np.random.default_rng(0).integers(10, 240, (64, 64, 3), dtype=np.uint8)


def test_one_level_everywhere_passes(picture, tmp_path):
    assert compare(picture + 1, picture, tmp_path) is None


def test_many_levels_in_few_pixels_pass(picture, tmp_path):
    spotted = picture.copy()
    spotted[:2, :2] = 255 - spotted[:2, :2]
    assert compare(spotted, picture, tmp_path) is None


def test_two_levels_everywhere_fail_and_are_shown(picture, tmp_path):
    complaint = compare(picture + 2, picture, tmp_path)
    assert complaint.startswith("up to 2 levels, 2.00 on average")
    with Image.open(tmp_path / "actual-expected-difference.png") as image:
        assert image.size == (3 * 64, 64)


def test_another_size_fails(picture, tmp_path):
    assert "shape (32, 64, 3)" in compare(picture[:32], picture, tmp_path)
