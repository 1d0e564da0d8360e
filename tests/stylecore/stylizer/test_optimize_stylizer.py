"""Optimizing photographs one after another, on a tiny network."""

import numpy as np
import pytest
import torch

from stylecore.config import StylizeJob
from stylecore.errors import (
    DeadlineError,
    JobError,
    OutOfMemoryError,
    RunStoppedError,
)
from stylecore.images.codec import RgbImage
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder
from stylecore.stylizer import Content, StylePainting, Stylized, StylizerInputs
from stylecore.stylizer import subject as module
from stylecore.stylizer.optimize import OptimizeStylizer


def picture(height: int, width: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def job(limits=None, device="cpu", seed=0, **settings) -> StylizeJob:
    return StylizeJob(
        manifest_uri="memory",
        output_uri="memory",
        device=device,
        seed=seed,
        limits=limits or {},
        optimize={"num_evaluations": 4} | settings,
    )


class Studio:
    """Builds stylizers on the tiny network."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def open(self, job: StylizeJob, styles=None, inputs=None, watch=None) -> OptimizeStylizer:
        styles = styles or [StylePainting(picture(24, 20, seed=9))]
        return OptimizeStylizer(
            job, styles, inputs or StylizerInputs(), watch or Watch(), self.encoder
        )

    def make(self, photograph: RgbImage, job: StylizeJob, **others) -> Stylized:
        (stylized,) = self.open(job, **others).stylize([Content(0, photograph)])
        return stylized


@pytest.fixture
def studio(tiny_encoder) -> Studio:
    return Studio(tiny_encoder)


def test_photographs_of_different_sizes_are_made_in_one_stream(studio):
    sizes = {5: (20, 24), 6: (18, 32), 7: (20, 24)}
    contents = [Content(key, picture(*size)) for key, size in sizes.items()]
    made = list(studio.open(job()).stylize(contents))
    assert {stylized.key: stylized.pixels.shape[:2] for stylized in made} == sizes
    assert [stylized.evaluations for stylized in made] == [4, 4, 4]
    assert made[0].pixels.dtype == np.uint8


def test_a_photograph_does_not_depend_on_what_came_before(studio):
    first, second = (Content(key, picture(20, 24, seed=key)) for key in (1, 2))
    *_, after = studio.open(job()).stylize([first, second])
    (alone,) = studio.open(job()).stylize([second])
    np.testing.assert_array_equal(after.pixels, alone.pixels)


def test_the_picture_is_closer_to_the_objective_than_the_photograph(studio):
    stylizer = studio.open(job(num_evaluations=20))
    photograph = picture(20, 24)
    (made,) = stylizer.stylize([Content(0, photograph)])
    before = stylizer.score(Content(0, photograph), photograph)
    after = stylizer.score(Content(0, photograph), made.pixels)
    assert after.total_loss < 0.5 * before.total_loss


def test_lpips_is_measured_on_its_own_network_when_the_job_has_another(studio):
    photograph = picture(20, 24)
    scores = studio.open(job()).score(Content(0, photograph), picture(20, 24, seed=1))
    assert scores.lpips_content > 0.1


def test_style_statistics_are_computed_once_per_size(studio, monkeypatch):
    calls = []

    def counting(*arguments):
        calls.append(arguments)
        return make_region_target(*arguments)

    make_region_target = module.make_region_target
    monkeypatch.setattr(module, "make_region_target", counting)
    sizes = [(20, 24), (24, 18), (20, 30), (20, 24)]  # three have the longest side 24
    contents = [Content(key, picture(*size)) for key, size in enumerate(sizes)]
    list(studio.open(job()).stylize(contents))
    assert len(calls) == 2


def test_a_blend_of_one_painting_twice_is_that_painting(studio):
    painting = picture(24, 20, seed=9)
    blend = [StylePainting(painting, 0.25), StylePainting(painting, 0.75)]
    once = studio.make(picture(20, 24), job())
    twice = studio.make(picture(20, 24), job(), styles=blend)
    assert np.abs(once.pixels.astype(int) - twice.pixels).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 16)])
def test_a_photograph_under_16_px_is_made_at_its_own_size(studio, size):
    stylized = studio.make(picture(*size), job())
    assert stylized.pixels.shape == (*size, 3)


@pytest.mark.parametrize("init", ["content", "noise", "color-matched"])
def test_the_same_job_makes_the_same_picture(studio, init):
    first, second = (studio.make(picture(20, 24), job(init=init)) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_the_seed_changes_what_starts_from_noise(studio):
    first, second = (studio.make(picture(20, 24), job(init="noise", seed=s)) for s in (1, 2))
    assert (first.pixels != second.pixels).any()


def test_a_given_picture_is_where_it_starts(studio):
    start = picture(20, 24, seed=3)
    settings = {"init": "image", "init_uri": "start.png", "num_evaluations": 1}
    stylized = studio.make(picture(20, 24), job(**settings), inputs=StylizerInputs(init=start))
    np.testing.assert_array_equal(stylized.pixels, start)


def test_a_start_that_was_not_given_is_a_wrong_job(studio):
    with pytest.raises(JobError, match="init_uri"):
        studio.open(job(init="image", init_uri="start.png"))


def test_a_layer_that_does_not_exist_is_a_wrong_job(studio):
    with pytest.raises(JobError, match="relu9_9"):
        studio.open(job(style_layers=("relu1_1", "relu9_9")))


def test_a_device_that_does_not_exist_is_a_wrong_job(studio):
    with pytest.raises(JobError, match="cuda:99 is not here"):
        studio.open(job(device="cuda:99"))


def test_every_picture_has_its_own_deadline(studio):
    contents = [Content(key, picture(20, 24)) for key in range(2)]
    made = list(studio.open(job(limits={"picture_seconds": 1e-9})).stylize(contents))
    assert [type(stylized.error) for stylized in made] == [DeadlineError] * 2
    assert made[0].pixels is None
    assert made[0].evaluations == 1


def test_the_deadline_of_the_watch_holds_where_it_is_earlier(studio):
    limits = {"picture_seconds": 999}
    stylized = studio.make(picture(20, 24), job(limits=limits), watch=Watch(deadline=0.0))
    assert isinstance(stylized.error, DeadlineError)


def test_the_stop_flag_ends_the_stream(studio):
    seen = []
    watch = Watch(
        on_evaluation=lambda _, number, __: seen.append(number),
        should_stop=lambda: len(seen) == 2,
    )
    with pytest.raises(RunStoppedError):
        studio.make(picture(20, 24), job(), watch=watch)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_photograph_that_does_not_fit_is_its_own_error(studio, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(module, "make_content_target", fail)
    stylized = studio.make(picture(20, 24), job())
    assert isinstance(stylized.error, OutOfMemoryError)
    assert "24 x 20 px" in str(stylized.error)


def test_any_other_fault_of_torch_is_not_hidden(studio, monkeypatch):
    def fail(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(module, "make_content_target", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        studio.make(picture(20, 24), job())
