"""Pictures of many sizes through batches: who leaves, who enters, and what they do not notice."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from style_targets import make_style_target

from stylecore.errors import DeadlineError, NonFiniteError, OutOfMemoryError, RunStoppedError
from stylecore.optimize.loop import minimize
from stylecore.optimize.pool import Candidate, PictureClock, Pool
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import StyleTarget, make_content_target
from stylecore.settings import OptimizeSettings
from stylecore.types import ImageBatch


class Workshop:
    """Makes candidates on the tiny network, in double precision, and notes every batch."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder.double()
        self.batch_sizes: list[int] = []
        encoder.register_forward_pre_hook(lambda _, args: self.batch_sizes.append(len(args[0])))
        self.style = self._style()
        self.fits = 99

    def _style(self) -> StyleTarget:
        painting = torch.rand(1, 3, 20, 24, generator=seeded(9), dtype=torch.float64)
        return make_style_target(self.encoder, [(painting, 1.0)], ["relu1_1", "relu3_1"])

    def candidate(self, key: int, size=(20, 24), num_evaluations=6, poison=0.0) -> Candidate:
        photograph = torch.rand(1, 3, *size, generator=seeded(key), dtype=torch.float64)
        content = make_content_target(self.encoder, photograph, ["relu4_2"])
        objective = Objective(self.encoder, content, self.style, LossWeights(style=1e3))
        if poison:
            content.features["relu4_2"].fill_(poison)
        self.batch_sizes.clear()
        settings = OptimizeSettings(num_evaluations=num_evaluations)
        return Candidate(key, photograph, objective, settings)

    def alone(self, candidate: Candidate) -> ImageBatch:
        def objective(images: ImageBatch) -> torch.Tensor:
            return candidate.objective(images).total

        return minimize(objective, candidate.start, candidate.settings, Watch()).images

    def run(self, candidates, capacity=2, follow_up=None, watch=None) -> dict[int, tuple]:
        """Key to the last candidate and its result, in the order of leaving."""
        follow_up = follow_up or (lambda *_: None)
        pool = Pool(iter(candidates), lambda _: capacity, follow_up, watch or Watch())
        return {candidate.key: (candidate, result) for candidate, result in pool.run()}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def workshop(tiny_encoder) -> Workshop:
    return Workshop(tiny_encoder)


@pytest.mark.parametrize("capacity", [1, 2, 3, 8])
def test_a_picture_comes_out_as_it_does_alone_whoever_is_in_the_batch(workshop, capacity):
    candidates = [workshop.candidate(key) for key in range(5)]
    made = workshop.run(candidates, capacity)
    assert sorted(made) == [0, 1, 2, 3, 4]
    for candidate, result in made.values():
        expected = workshop.alone(candidate)
        torch.testing.assert_close(result.images, expected, rtol=0, atol=1e-6)
        assert result.evaluations == [6]


def test_who_waits_takes_the_place_of_who_is_done(workshop):
    lengths = {0: 2, 1: 8, 2: 2, 3: 2}
    settings = OptimizeSettings(num_evaluations=8)
    candidates = [replace(workshop.candidate(key), settings=settings) for key in lengths]

    seen = dict.fromkeys(lengths, 0)

    def count(key: int, evaluations: int, total: float) -> None:
        seen[key] = evaluations
        if evaluations == lengths[key]:
            candidates[key].clock.seconds = 0.0

    made = workshop.run(candidates, watch=Watch(on_evaluation=count))
    assert seen == lengths
    assert list(made) == [0, 2, 3, 1]
    assert workshop.batch_sizes == [2] * 6 + [1] * 2


def test_pictures_of_different_sizes_are_never_in_one_batch_but_all_get_done(workshop):
    sizes = [(20, 24), (24, 20), (20, 24), (16, 16), (24, 20), (20, 24)]
    candidates = [workshop.candidate(key, size) for key, size in enumerate(sizes)]
    made = workshop.run(candidates)
    assert {key: tuple(r.images.shape[2:]) for key, (_, r) in made.items()} == dict(
        enumerate(sizes)
    )


def test_no_more_is_drawn_than_a_batch_and_what_waits_for_one(workshop):
    drawn, done = [], []

    def source() -> Iterator[Candidate]:
        for key in range(12):
            drawn.append(key)
            yield workshop.candidate(key, (20, 24) if key % 2 else (24, 20), num_evaluations=2)

    pool = Pool(source(), lambda _: 2, lambda *_: None, Watch())
    for candidate, _ in pool.run():
        done.append(candidate.key)
        assert len(drawn) - len(done) <= 4
    assert sorted(done) == list(range(12))


def test_a_picture_that_is_not_finite_leaves_and_its_neighbor_does_not_notice(workshop):
    good, bad = workshop.candidate(0), workshop.candidate(1, poison=torch.nan)
    made = workshop.run([good, bad])
    assert isinstance(made[1][1].errors[0], NonFiniteError)
    torch.testing.assert_close(made[0][1].images, workshop.alone(good), rtol=0, atol=1e-6)


def test_a_picture_can_go_on_at_another_stage(workshop):
    def follow_up(candidate, result):
        if candidate.stage == 1:
            return None
        return replace(candidate, stage=1, start=result.images)

    candidates = [workshop.candidate(key) for key in range(3)]
    made = workshop.run(candidates, follow_up=follow_up)
    for key, (candidate, result) in made.items():
        assert candidate.stage == 1
        again = replace(candidate, start=workshop.alone(candidates[key]))
        torch.testing.assert_close(result.images, workshop.alone(again), rtol=0, atol=1e-5)


def test_who_is_furthest_goes_first(workshop):
    order = []

    def follow_up(candidate, _):
        order.append((candidate.key, candidate.stage))
        return None if candidate.stage else replace(candidate, stage=1)

    workshop.run([workshop.candidate(key) for key in range(4)], follow_up=follow_up)
    assert order == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize("fault", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_out_of_memory_halves_the_batch_and_loses_nothing(workshop, monkeypatch, fault):
    shortage(workshop, monkeypatch, fits=2, fault=fault)
    candidates = [workshop.candidate(key) for key in range(8)]
    made = workshop.run(candidates, capacity=8)
    assert sorted(made) == list(range(8))
    assert all(result.errors == [None] for _, result in made.values())
    assert workshop.batch_sizes == [8, 4] + [2] * 6 * 4
    assert all(result.evaluations == [6] for _, result in made.values())
    torch.testing.assert_close(made[7][1].images, workshop.alone(candidates[7]), rtol=0, atol=1e-6)


def test_one_picture_that_does_not_fit_is_its_own_error(workshop, monkeypatch):
    shortage(workshop, monkeypatch, fits=0, fault=MemoryError())
    made = workshop.run([workshop.candidate(0)])
    (error,) = made[0][1].errors
    assert isinstance(error, OutOfMemoryError)
    assert "24 x 20 px" in str(error)


def shortage(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, fits: int, fault: Exception):
    forward = Objective.__call__

    def limited(objective: Objective, images: ImageBatch):
        value = forward(objective, images)
        if len(images) > fits:
            raise fault
        return value

    monkeypatch.setattr(Objective, "__call__", limited)


def test_any_other_fault_is_not_hidden(workshop, monkeypatch):
    shortage(workshop, monkeypatch, fits=0, fault=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        workshop.run([workshop.candidate(0)])


def test_time_runs_out_for_one_picture_not_for_its_neighbor(workshop):
    hasty, calm = workshop.candidate(0), workshop.candidate(1)
    made = workshop.run([replace(hasty, clock=PictureClock(1e-9)), calm])
    assert isinstance(made[0][1].errors[0], DeadlineError)
    assert made[1][1].errors == [None]


def test_waiting_is_not_counted_as_time_for_a_picture(workshop):
    """One that waits for another size, or for whoever takes the results, is not late."""
    first, second = workshop.candidate(0), workshop.candidate(1, (24, 20))
    clock = PictureClock(seconds=60.0)
    pool = Pool(iter([first, replace(second, clock=clock)]), lambda _: 1, lambda *_: None, Watch())
    started = time.perf_counter()
    results = pool.run()
    next(results)
    time.sleep(0.5)
    candidate, result = next(results)
    assert result.errors == [None]
    assert 0 < candidate.clock.worked_s < time.perf_counter() - started - 0.5


def test_each_picture_is_charged_its_share_of_the_time(workshop):
    candidates = [workshop.candidate(key) for key in range(3)]
    started = time.perf_counter()
    workshop.run(candidates)
    spent = sum(candidate.clock.spent_s for candidate in candidates)
    assert 0 < spent < time.perf_counter() - started


def test_the_stop_flag_ends_the_work(workshop):
    evaluations = []
    watch = Watch(
        on_evaluation=lambda *seen: evaluations.append(seen),
        should_stop=lambda: len(evaluations) >= 4,
    )
    with pytest.raises(RunStoppedError):
        workshop.run([workshop.candidate(0), workshop.candidate(1)], watch=watch)
    assert [(key, number) for key, number, _ in evaluations] == [(0, 1), (1, 1), (0, 2), (1, 2)]


def test_who_wants_to_be_shown_is_told_the_best_so_far(workshop):
    shown = []
    candidate = workshop.candidate(0)
    showing = replace(candidate, show=lambda number, image: shown.append((number, image)))
    made = workshop.run([showing, workshop.candidate(1)])
    assert [number for number, _ in shown] == [1, 2, 3, 4, 5, 6]
    assert torch.equal(shown[-1][1], made[0][1].images)
