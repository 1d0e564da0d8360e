"""A refiner behind a stylizer: what the gate lets through, and what it says."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from sample_images import GREAT_WAVE

from stylecore.config import StylizeJob
from stylecore.errors import JobError, NonFiniteError, RunStoppedError
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.optimize.watch import Watch
from stylecore.refine.files import RefinerCard, save_refiner
from stylecore.refine.networks import Refiner
from stylecore.settings import OptimizeSettings
from stylecore.stylizer import Content, StylePainting, Stylized, refined
from stylecore.stylizer.refined import RefinedStylizer, Refining, open_refining
from stylecore.training.data import TrainingData
from stylecore.training.refiner import TrainedRefiner

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


def refine(pixels, goal: RgbImage, alphas=(0.25, 0.5, 0.75, 1.0), masks=()) -> Stylized:
    refining = Refining(lambda *_: Towards(goal), alphas)
    stylizer = RefinedStylizer(Makes(pixels), [StylePainting(PAINTING)], refining)
    (made,) = stylizer.stylize([Content(7, PAINTING, masks)])
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


def test_a_picture_too_small_to_train_on_stays_unrefined_and_the_others_go_on():
    small, paintings = NOISE[:15], [StylePainting(PAINTING)]
    refining = open_refining(job(uri="per-image", num_steps=2), paintings, None, Watch())
    stylizer = RefinedStylizer(Makes(small), paintings, refining)
    contents = [Content(key, PAINTING[:15]) for key in (7, 8)]
    for made in stylizer.stylize(contents):
        np.testing.assert_array_equal(made.pixels, small)
        assert made.note.startswith("not refined: the picture: 64 x 15 px is too small to train on")
        assert made.refinement is None


def test_a_training_gone_astray_leaves_the_picture_beside_what_was_noted_of_it():
    def diverge(*_):
        raise JobError("training went astray")

    class Notes(Makes):
        def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
            for made in super().stylize(contents):
                yield replace(made, note="by tiles")

    stylizer = RefinedStylizer(Notes(NOISE), [StylePainting(PAINTING)], Refining(diverge))
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    assert made.note == "by tiles; not refined: training went astray"


def test_nothing_changes_where_no_painting_goes():
    left, middle = np.zeros((2, *PAINTING.shape[:2]), dtype=np.uint8)
    left[:, :20], left[:, 20:30], middle[:, 20:40] = 255, 100, 255
    made = refine(NOISE, PAINTING, masks=(left, middle))
    assert made.refinement.alpha == 1.0
    np.testing.assert_array_equal(made.pixels[:, :40], PAINTING[:, :40])
    np.testing.assert_array_equal(made.pixels[:, 40:], NOISE[:, 40:])


def test_a_painting_without_a_mask_goes_everywhere():
    black = np.zeros(PAINTING.shape[:2], dtype=np.uint8)
    np.testing.assert_array_equal(refine(NOISE, PAINTING, masks=(black, None)).pixels, PAINTING)
    np.testing.assert_array_equal(refine(NOISE, PAINTING, masks=(black, black)).pixels, NOISE)


def test_only_what_a_paintings_mask_leaves_of_it_counts():
    """Beside the wave lies noise, which a picture of noise must not come near to."""
    beside = np.hstack([PAINTING, NOISE])
    mask = np.zeros(beside.shape[:2], dtype=np.uint8)
    mask[:, : PAINTING.shape[1]] = 255
    refining = Refining(lambda *_: Towards(PAINTING), style_scale=2.0)
    paintings = [StylePainting(beside, mask=mask)]
    stylizer = RefinedStylizer(Makes(NOISE), paintings, refining)
    (made,) = stylizer.stylize([Content(7, PAINTING)])
    assert made.refinement.after.fdrl == pytest.approx(0, abs=1e-6)


def test_a_refiner_of_one_picture_learns_from_what_the_gate_measures_by(monkeypatch):
    given: list[TrainingData] = []

    def note(data: TrainingData, *_: object) -> TrainedRefiner:
        given.append(data)
        raise JobError("seen enough")

    monkeypatch.setattr(refined, "train_refiner", note)
    mask = np.full(PAINTING.shape[:2], 255, dtype=np.uint8)
    mask[:, 40:] = 0
    paintings = [StylePainting(PAINTING), StylePainting(PAINTING, mask=mask)]
    wanted = job(uri="per-image").model_copy(
        update={"optimize": OptimizeSettings(style_scale=0.75)}
    )
    refining = open_refining(wanted, paintings, None, Watch())
    list(RefinedStylizer(Makes(NOISE), paintings, refining).stylize([Content(7, PAINTING)]))
    (data,) = given
    sizes = [one.shape[-1] for one in data.scaled_paintings()]
    assert sizes == [48, 30]


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
