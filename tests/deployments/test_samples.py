"""What is shipped to begin with: generators that know the shipped paintings, and are worth it."""

import hashlib
from pathlib import Path

import pytest

from stylecore.config import StylizeJob
from stylecore.generate.cards import GeneratorCard
from stylecore.generate.loading import read_network_card
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.stylizer import Content, StylePainting, StylizerInputs, build_stylizer
from stylecore.yaml_text import load_yaml

SAMPLES = Path(__file__).parent.parent.parent / "deployments" / "samples"
GENERATORS = sorted((SAMPLES / "generators").glob("*.safetensors"))
SIDE_PX = 512  # what they were trained for: strokes have the size that they have at this one
LIMITS = DecodeLimits(max_bytes=2**24, max_pixels=10_000_000)


@pytest.fixture(params=GENERATORS, ids=lambda path: path.stem)
def generator(request) -> Path:
    return request.param


def read(path: Path) -> RgbImage:
    return decode_image(path.read_bytes(), str(path), LIMITS)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def painting_of(generator: Path) -> Path:
    return SAMPLES / "style" / f"{generator.stem}.jpg"


def test_there_are_generators_to_begin_with():
    assert len(GENERATORS) >= 2
    assert all(path.stat().st_size < 4_000_000 for path in GENERATORS)


def test_a_generator_knows_the_painting_that_it_is_called_after(generator):
    card = read_network_card(generator.read_bytes(), str(generator))
    assert isinstance(card, GeneratorCard)
    assert [style.digest for style in card.styles] == [digest(painting_of(generator))]
    assert card.num_photographs == 120
    assert "public domain" in card.license


@pytest.mark.parametrize("name", ["astronaut", "rocket"])
def test_its_pictures_are_far_nearer_to_the_objective_than_photographs_are(generator, name):
    """To an eighth, on photographs that it was not trained on, which stay what they are."""
    fields = {"manifest_uri": "none", "output_uri": "none", "device": "cpu", "max_side_px": SIDE_PX}
    painting = StylePainting(read(painting_of(generator)), digest=digest(painting_of(generator)))
    photograph = Content(0, resize_content(read(SAMPLES / "content" / f"{name}.jpg"), SIDE_PX))
    job = StylizeJob.model_validate({**fields, "method": "generator", "generator": "shipped"})
    inputs = StylizerInputs(generator=generator.read_bytes())
    (made,) = build_stylizer(job, [painting], inputs).stylize([photograph])
    judge = build_stylizer(StylizeJob.model_validate(fields | {"styles": ["none"]}), [painting])
    before = judge.score(photograph, photograph.pixels)
    after = judge.score(photograph, made.pixels)
    assert after.total_loss < before.total_loss / 8
    assert after.lpips_content < 0.85


def test_the_demos_second_job_uses_one_of_them():
    job = load_yaml((SAMPLES / "generator.yaml").read_text())
    assert isinstance(job, dict)
    assert SAMPLES.parent.parent / job["generator"] in GENERATORS
    assert job["styles"] == [f"deployments/samples/style/{Path(job['generator']).stem}.jpg"]
