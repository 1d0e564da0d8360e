import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.estimate import estimate_job, rows_per_shard
from stylecore.config import Limits, OptimizeSettings, StylizeJob

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
