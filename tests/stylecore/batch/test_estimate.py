from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.estimate import (
    PassWork,
    PixelWork,
    estimate_job,
    rows_per_shard,
    stylizer_memory_bytes,
)
from stylecore.config import Limits, StylizeJob
from stylecore.settings import EncoderName, OptimizeSettings

JOBS = st.builds(
    StylizeJob,
    manifest_uri=st.just("m.jsonl"),
    output_uri=st.just("out"),
    method=st.sampled_from(["optimize", "identity"]),
    preset=st.sampled_from(["draft", "standard", "fine"]),
    max_side_px=st.integers(16, 8192),
    device=st.sampled_from(["auto", "cpu", "cuda", "cuda:1"]),
)


def job(**values: object) -> StylizeJob:
    return StylizeJob.model_validate({"manifest_uri": "m.jsonl", "output_uri": "out"} | values)


@given(JOBS, st.integers(0, 10**7))
def test_a_shard_has_between_ten_and_two_thousand_rows(wanted: StylizeJob, planned: int) -> None:
    assert 10 <= rows_per_shard(wanted, planned) <= 2000


@given(JOBS, st.integers(0, 10**7), st.integers(1, 2000))
def test_rows_per_shard_is_what_the_job_says(wanted: StylizeJob, planned: int, rows: int) -> None:
    limited = wanted.model_copy(update={"limits": Limits(rows_per_shard=rows)})
    assert rows_per_shard(limited, planned) == rows


def test_slower_pictures_make_smaller_shards() -> None:
    sizes = [rows_per_shard(job(max_side_px=side), 100) for side in (64, 128, 256, 512)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[2] > 10


@given(JOBS)
def test_a_million_pictures_are_some_hundreds_of_shards(wanted: StylizeJob) -> None:
    assert 10**6 / rows_per_shard(wanted, 10**6) <= 500


def test_shards_are_cut_alike_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_per_shard(job(max_side_px=200), 5000)
    monkeypatch.setattr("os.cpu_count", lambda: 128)
    monkeypatch.setattr("stylecore.batch.estimate._has_gpu", lambda: True)
    assert rows_per_shard(job(max_side_px=200), 5000) == before


def test_more_and_larger_pictures_and_more_evaluations_take_longer() -> None:
    base = estimate_job(job(device="cpu"), 100)
    assert estimate_job(job(device="cpu"), 200).seconds == pytest.approx(2 * base.seconds)
    assert estimate_job(job(device="cpu", preset="fine"), 100).seconds > 2 * base.seconds
    larger = estimate_job(job(device="cpu", max_side_px=1024), 100)
    assert larger.seconds > 3 * base.seconds
    assert larger.memory_bytes > base.memory_bytes


def test_time_follows_the_known_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("os.process_cpu_count", lambda: 1, raising=False)
    wanted = job(device="cpu", max_side_px=256, optimize=OptimizeSettings(num_evaluations=98))
    assert estimate_job(wanted, 1).seconds == pytest.approx(100 * 0.75 * 79.9 / 60, rel=0.01)


def test_a_gpu_is_counted_on_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylecore.batch.estimate._has_gpu", lambda: False)
    without = estimate_job(job(), 10)
    monkeypatch.setattr("stylecore.batch.estimate._has_gpu", lambda: True)
    assert estimate_job(job(), 10).seconds < without.seconds
    assert "GPU" in estimate_job(job(), 10).basis
    assert estimate_job(job(device="cpu"), 10).seconds == without.seconds


def test_a_rehearsal_costs_next_to_nothing() -> None:
    rehearsal = estimate_job(job(method="identity", device="cpu"), 100)
    real = estimate_job(job(device="cpu"), 100)
    assert rehearsal.seconds < real.seconds / 20
    assert rehearsal.memory_bytes < real.memory_bytes


def test_no_pictures_take_no_time() -> None:
    assert estimate_job(job(), 0).seconds == 0


# Peaks of resident memory of `stylebatch image` on a CPU, in bytes, of square pictures.
@pytest.mark.parametrize(
    ("side_px", "evaluations", "peak"),
    [(64, 3, 1.00e9), (256, 3, 1.22e9), (512, 3, 1.76e9), (512, 24, 1.83e9), (1024, 3, 4.05e9)],
)
def test_memory_of_one_picture_is_about_what_was_measured(side_px, evaluations, peak) -> None:
    work = PixelWork("vgg16", side_px, side_px, evaluations)
    assert stylizer_memory_bytes(work) == pytest.approx(peak, rel=0.1)


# The same of `stylebatch run`.
@pytest.mark.parametrize(("side_px", "peak"), [(64, 1.39e9), (256, 1.72e9), (512, 2.71e9)])
def test_memory_of_a_run_is_about_what_was_measured(side_px, peak) -> None:
    wanted = job(device="cpu", max_side_px=side_px, optimize=OptimizeSettings(num_evaluations=3))
    assert estimate_job(wanted, 10).memory_bytes == pytest.approx(peak, rel=0.1)


# Minimising at 1024 and 2048 px through tiles of cores of 256 and 512 px with halos of 64 px.
@pytest.mark.parametrize(("side_px", "tile_px", "peak"), [(1024, 384, 2.10e9), (2048, 640, 4.76e9)])
def test_memory_of_tiles_is_about_what_was_measured(side_px, tile_px, peak) -> None:
    work = PixelWork("vgg16", side_px, side_px, 3, tile_px=tile_px)
    assert stylizer_memory_bytes(work) == pytest.approx(peak, rel=0.1)


WORKS = st.builds(
    PixelWork,
    encoder=st.sampled_from(get_args(EncoderName)),
    height_px=st.integers(16, 8192),
    width_px=st.integers(16, 8192),
    num_evaluations=st.integers(1, 5000),
    num_pictures=st.integers(1, 64),
)


@given(WORKS, st.integers(16, 8192))
def test_a_tile_never_needs_more_than_the_whole_picture(work: PixelWork, tile_px: int) -> None:
    whole, tiled = (
        stylizer_memory_bytes(work),
        stylizer_memory_bytes(replace(work, tile_px=tile_px)),
    )
    if tile_px >= max(work.height_px, work.width_px):
        assert tiled == whole
    else:
        assert tiled < whole


@given(WORKS)
def test_pictures_of_a_batch_each_need_their_own_memory(work: PixelWork) -> None:
    one, two, three = (stylizer_memory_bytes(replace(work, num_pictures=n)) for n in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    assert two > one


@given(WORKS)
def test_a_turned_picture_needs_as_much_memory(work: PixelWork) -> None:
    turned = replace(work, height_px=work.width_px, width_px=work.height_px)
    assert stylizer_memory_bytes(turned) == stylizer_memory_bytes(work)


def test_a_generators_cost_is_what_its_card_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("os.process_cpu_count", lambda: 1, raising=False)
    wanted = job(device="cpu", max_side_px=512, method="generator", generator="g")
    small, large = PassWork(2e5, 800), PassWork(8e5, 1600)
    few, many = (estimate_job(wanted, 1000, work) for work in (small, large))
    pixels = 0.75 * 512**2
    assert many.seconds - few.seconds == pytest.approx(1000 * pixels * 6e5 / 60e9)
    assert many.memory_bytes - few.memory_bytes == pytest.approx(512**2 * 800)
    assert rows_per_shard(wanted, 1000, large) < rows_per_shard(wanted, 1000, small)


def test_a_gpu_makes_eight_of_a_generators_pictures_at_once() -> None:
    def memory_bytes(device: str) -> float:
        wanted = job(device=device, max_side_px=512, method="generator", generator="g")
        return estimate_job(wanted, 1, PassWork(1e5, 800)).memory_bytes

    assert memory_bytes("cuda") - memory_bytes("cpu") == pytest.approx(7 * 512**2 * 800)
