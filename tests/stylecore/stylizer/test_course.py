"""The way of photographs through sizes and tries, on a tiny network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylecore.config import StylizeJob
from stylecore.errors import NonFiniteError, OutOfMemoryError
from stylecore.images.codec import RgbImage
from stylecore.optimize.watch import Watch
from stylecore.perception.objective import Objective, ObjectiveValue
from stylecore.stylizer import Content, StylePainting, StylizerInputs
from stylecore.stylizer.course import find_scales
from stylecore.stylizer.optimize import OptimizeStylizer


def picture(height: int, width: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def make(tiny_encoder):
    """Stylize photographs with some settings; the results by key."""

    def stylize(photographs, watch=None, batch_size=None, limits=None, **settings):
        job = StylizeJob(
            manifest_uri="memory",
            output_uri="memory",
            device="cpu",
            batch_size=batch_size,
            limits=limits or {},
            optimize={"num_evaluations": 6} | settings,
        )
        styles = [StylePainting(picture(24, 20, seed=9))]
        stylizer = OptimizeStylizer(job, styles, StylizerInputs(), watch or Watch(), tiny_encoder)
        contents = [Content(key, image) for key, image in enumerate(photographs)]
        return {made.key: made for made in stylizer.stylize(contents)}

    return stylize


@pytest.mark.parametrize(
    ("longest_side_px", "num_scales", "expected"),
    [
        (512, 1, [512]),
        (512, 3, [128, 256, 512]),
        (255, 2, [128, 255]),
        (300, 8, [75, 150, 300]),  # 38 px would be too coarse
        (20, 4, [20]),
    ],
)
def test_each_scale_is_half_the_next_and_none_is_too_small(longest_side_px, num_scales, expected):
    assert find_scales(longest_side_px, num_scales) == expected


def test_coarse_to_fine_evaluates_at_every_scale(make, tiny_encoder):
    sizes = []
    tiny_encoder.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape[2:])))
    made = make([picture(100, 140)], num_scales=2)
    assert made[0].pixels.shape == (100, 140, 3)
    assert made[0].evaluations == 12
    assert sizes.count((50, 70)) == sizes.count((100, 140)) == 7  # and once as a content target


def test_coarse_to_fine_starts_where_the_coarse_picture_ended(make, monkeypatch):
    finals, starts = [], []
    begin = Objective.__call__

    def spy(objective: Objective, images: torch.Tensor) -> ObjectiveValue:
        (finals if images.shape[2] == 50 else starts).append(images.detach())
        return begin(objective, images)

    monkeypatch.setattr(Objective, "__call__", spy)
    make([picture(100, 140)], num_scales=2, num_evaluations=5)
    shrunk = torch.nn.functional.avg_pool2d(starts[0], 2)
    distances = [(shrunk - coarse).abs().mean() for coarse in (finals[0], finals[-1])]
    assert distances[1] < 0.8 * distances[0]


def test_photographs_of_many_sizes_come_out_as_they_do_alone(make):
    photographs = [picture(*size, seed=size[0]) for size in [(20, 24), (70, 90), (24, 20)]] * 2
    together = make(photographs, batch_size=3, num_scales=2)
    for key, photograph in enumerate(photographs):
        (alone,) = make([photograph], num_scales=2).values()
        difference = np.abs(alone.pixels.astype(int) - together[key].pixels)
        assert difference.max() <= 1
        assert together[key].evaluations == alone.evaluations


def test_intermediate_pictures_come_every_n_evaluations_at_full_size(make):
    seen = []
    watch = Watch(save_every=4, on_picture=lambda *given: seen.append(given))
    made = make([picture(100, 140)], watch, num_scales=2)
    assert [(key, number) for key, number, _ in seen] == [(0, 4), (0, 8), (0, 12)]
    assert {image.shape for _, _, image in seen} == {(100, 140, 3)}
    np.testing.assert_array_equal(seen[-1][2], made[0].pixels)


def test_without_a_listener_no_intermediate_picture_is_made(make):
    assert make([picture(20, 24)], Watch(save_every=1))[0].pixels is not None


def test_the_time_for_a_picture_covers_all_its_scales(make):
    made = make([picture(100, 140)], limits={"picture_seconds": 1e-9}, num_scales=2)
    assert made[0].error.code == "deadline"
    assert made[0].evaluations == 1


def test_time_is_charged_to_pictures(make):
    made = make([picture(20, 24), picture(20, 24, seed=1)], batch_size=2)
    assert all(one.seconds > 0 for one in made.values())


class Spoiled:
    """Objectives that go wrong at will: how many of the first ones, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, num_spoiled: int, spoil) -> None:
        real = Objective.__call__
        self.left = num_spoiled
        bad: set[int] = set()
        good: list[Objective] = []  # kept, so that no id comes twice

        def call(objective: Objective, images: torch.Tensor) -> ObjectiveValue:
            good.append(objective)
            if self.left and id(objective) not in bad:
                self.left -= 1
                bad.add(id(objective))
            value = real(objective, images)
            return spoil(images, value) if id(objective) in bad else value

        monkeypatch.setattr(Objective, "__call__", call)


def not_finite(_, value: ObjectiveValue) -> ObjectiveValue:
    return replace(value, total=value.total * torch.nan)


def rising(images, value: ObjectiveValue) -> ObjectiveValue:
    """Higher wherever one goes, whatever the gradient says."""
    return replace(value, total=1e3 - 1e-3 * images.flatten(1).mean(dim=1).detach() + _up(images))


def _up(images):
    return (images - images.detach()).flatten(1).sum(dim=1) + (Counter.next())


class Counter:
    value = 0.0

    @classmethod
    def next(cls) -> float:
        cls.value += 1.0
        return cls.value


def darkening(images, value: ObjectiveValue) -> ObjectiveValue:
    return replace(value, total=images.flatten(1).sum(dim=1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(not_finite, "not finite"), (rising, "nothing better"), (darkening, "one color")],
)
def test_a_picture_that_went_wrong_is_made_again_and_says_so(make, monkeypatch, spoil, reason):
    Spoiled(monkeypatch, 1, spoil)
    made = make([picture(20, 24)], num_evaluations=30)
    assert made[0].error is None
    assert "made again with Adam from the photograph" in made[0].note
    assert reason in made[0].note
    assert made[0].pixels.std() > 10


def test_a_picture_that_stays_not_finite_fails_and_the_next_is_made(make, monkeypatch):
    Spoiled(monkeypatch, 2, not_finite)
    made = make([picture(20, 24), picture(20, 24, seed=1)])
    assert isinstance(made[0].error, NonFiniteError)
    assert made[1].error is None
    assert made[1].note is None


def test_a_photograph_of_one_color_may_stay_so(make):
    made = make([np.full((20, 24, 3), 90, np.uint8)], style_weight=0)
    assert made[0].note is None


def test_a_picture_that_does_not_fit_goes_to_tiles(make, monkeypatch):
    """Though the system claims that there is memory enough."""

    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    (whole,) = make([picture(300, 320)], num_evaluations=3).values()
    monkeypatch.setattr(Objective, "_measure", short)
    (tiled,) = make([picture(300, 320)], num_evaluations=3).values()
    assert tiled.error is None
    assert np.abs(whole.pixels.astype(int) - tiled.pixels).max() <= 1


def test_every_picture_of_a_batch_that_does_not_fit_goes_to_tiles_of_the_same_size(
    make, monkeypatch
):
    """One shortage is one reason to halve, however many pictures wait behind it."""

    def short(*_):
        raise MemoryError

    photographs = [picture(280, 300, seed=seed) for seed in range(5)]
    monkeypatch.setattr(Objective, "_measure", short)
    made = make(photographs, num_evaluations=2, batch_size=2)
    assert [made[key].error for key in range(5)] == [None] * 5


def test_a_small_picture_stays_whole_after_a_large_one_went_to_tiles(make, monkeypatch):
    measure, kinds = Objective._measure, []

    def short(objective: Objective, images: torch.Tensor):
        if images.shape[-1] > 200:
            raise MemoryError
        kinds.append(images.shape[-1])
        return measure(objective, images)

    monkeypatch.setattr(Objective, "_measure", short)
    made = make([picture(280, 300), picture(100, 120)], num_evaluations=2)
    assert [made[key].error for key in range(2)] == [None, None]
    assert kinds == [120, 120]


def test_a_picture_that_does_not_fit_even_by_tiles_is_its_own_error(make, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Objective, "__call__", fail)
    made = make([picture(300, 320), picture(24, 20)])
    assert all(isinstance(one.error, OutOfMemoryError) for one in made.values())
