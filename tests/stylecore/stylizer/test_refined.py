"""A refiner behind a stylizer: what the gate lets through, and what it says."""

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from sample_images import GREAT_WAVE

from stylecore.config import StylizeJob
from stylecore.errors import JobError, NonFiniteError, RunStoppedError
from stylecore.images.codec import DecodeLimits, RgbImage, decode_image
from stylecore.images.resize import resize_content
from stylecore.optimize.watch import Watch
from stylecore.refine.files import RefinerCard, save_refiner
from stylecore.refine.networks import Refiner
from stylecore.stylizer import Content, StylePainting, Stylized
from stylecore.stylizer.refined import RefinedStylizer, Refining, open_refining

PAINTING = resize_content(
    decode_image(GREAT_WAVE.read_bytes(), "wave", DecodeLimits(2**26, 50_000_000)), 64
)
NOISE = np.random.default_rng(0).integers(0, 256, PAINTING.shape, dtype=np.uint8)


class Makes:
    """A stylizer that hands out what it is told to."""

    def __init__(self, pixels: RgbImage | None, error: NonFiniteError | None = None) -> None:
        self.made = (pixels, error)

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        pixels, error = self.made
        for content in contents:
            yield Stylized(content.key, pixels, evaluations=3, error=error, seconds=1.0)

    def score(self, content: Content, picture: RgbImage) -> None:
        return None


class Towards:
    """A refiner whose change leads to another picture."""

    def __init__(self, goal: RgbImage) -> None:
        self.goal = torch.from_numpy(goal).permute(2, 0, 1)[None] / 255

    def residual(self, stylized: torch.Tensor, _content: torch.Tensor) -> torch.Tensor:
        return self.goal - stylized


def refine(pixels, goal: RgbImage, alphas=(0.25, 0.5, 0.75, 1.0)) -> Stylized:
    refining = Refining(lambda *_: Towards(goal), alphas)
    stylizer = RefinedStylizer(Makes(pixels), [StylePainting(PAINTING)], refining)
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    return made


def test_a_change_that_helps_is_taken_at_full_strength_and_recorded():
    made = refine(NOISE, PAINTING)
    np.testing.assert_array_equal(made.pixels, PAINTING)
    assert made.refinement.alpha == 1.0
    assert made.refinement.after.fdrl < 0.01 * made.refinement.before.fdrl
    assert made.refinement.after.lpips < made.refinement.before.lpips
    assert (made.key, made.evaluations, made.seconds > 1.0) == (7, 3, True)


def test_a_change_for_the_worse_is_rejected_and_the_picture_stays():
    made = refine(PAINTING, NOISE)
    np.testing.assert_array_equal(made.pixels, PAINTING)
    assert made.refinement.alpha == 0
    assert made.refinement.after == made.refinement.before


def test_only_the_strengths_of_the_style_are_tried():
    assert refine(NOISE, PAINTING, (0.5,)).refinement.alpha == 0.5
    assert refine(NOISE, PAINTING, ()).refinement.alpha == 0


def test_what_failed_passes_by():
    error = NonFiniteError("", "not a number")
    refining = Refining(lambda *_: Towards(PAINTING))
    stylizer = RefinedStylizer(Makes(None, error), [StylePainting(PAINTING)], refining)
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    assert made.error is error
    assert made.refinement is None


def test_a_picture_that_does_not_fit_stays_unrefined_and_says_so():
    def out_of_memory(*_):
        raise MemoryError

    stylizer = RefinedStylizer(Makes(NOISE), [StylePainting(PAINTING)], Refining(out_of_memory))
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    np.testing.assert_array_equal(made.pixels, NOISE)
    assert made.note == "not refined: memory ran out"


def job(**refine: object) -> StylizeJob:
    return StylizeJob(manifest_uri="m", output_uri="o", device="cpu", refine=refine)


def test_the_strength_of_a_style_comes_from_the_refiners_card():
    data = save_refiner(Refiner(), RefinerCard(version="0", alpha=0.5))
    paintings = [StylePainting(PAINTING)]
    each = open_refining(job(uri="r"), paintings, data, Watch())
    style = open_refining(job(uri="r", strength="style"), paintings, data, Watch())
    assert (tuple(each.alphas), tuple(style.alphas)) == ((0.25, 0.5, 0.75, 1.0), (0.5,))


def test_what_is_no_refiner_is_a_wrong_request():
    with pytest.raises(JobError, match=r"s3://w/r\.safetensors"):
        open_refining(job(uri="s3://w/r.safetensors"), [], b"garbage", Watch())


def test_a_refiner_can_be_trained_on_the_picture_itself_and_stopped():
    stop = threading.Event()
    watch = Watch(should_stop=stop.is_set)
    paintings = [StylePainting(PAINTING)]
    refining = open_refining(job(uri="per-image", num_steps=2), paintings, None, watch)
    stylizer = RefinedStylizer(Makes(NOISE), paintings, refining)
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    assert made.refinement is not None
    stop.set()
    with pytest.raises(RunStoppedError):
        list(stylizer.stylize([Content(8, PAINTING)]))
