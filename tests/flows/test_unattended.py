"""Nights that end by themselves, try failed rows again, and forget old runs."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import run_stylebatch
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from stub_stylizers import Invert

from flows.retry_run import retry_run
from flows.stylize_manifest import stylize_manifest
from stylecore.config import StylizeJob
from stylecore.errors import DeadlineError
from stylecore.stylizer import Content, Stylized

pytestmark = pytest.mark.flow


def run(job: StylizeJob, **parameters: Any) -> State[dict[str, Any]]:
    return stylize_manifest(job, **parameters, return_state=True)


def short_of_time(invert: Invert, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every picture fail for a reason that may pass."""

    def stylize(contents: Iterable[Content]) -> Iterator[Stylized]:
        for content in contents:
            invert.stylized.append(content.key)
            yield Stylized(content.key, None, error=DeadlineError("", "no time"))

    monkeypatch.setattr(invert, "stylize", stylize)


def attempts(bucket: LocalBucket) -> list[tuple[str, int, str | None]]:
    return [(row["row_id"], row["attempt"], row["error_code"]) for row in bucket.results()]


def test_a_budget_that_is_used_up_ends_the_run_completed_and_the_next_start_goes_on(
    bucket: LocalBucket, harness: str
) -> None:
    bucket.fill(3)
    command = [
        *("run", "--manifest", f"{bucket.photographs}/", "--output", str(bucket.output)),
        *("--style", str(bucket.folder / "wave.jpg"), "--max-side-px", "32"),
        *("--method", "identity", "--set", "device=cpu"),
    ]
    environment = {"PREFECT_API_URL": harness}
    first = run_stylebatch(
        *command, "--set", "limits.run_minutes=1e-6", home=bucket.folder, environment=environment
    )
    assert (first.code, first.lines[0]) == (
        0,
        "the budget of 1e-06 minutes was used up: 0 of 3 rows done; start again to go on",
    ), first
    assert bucket.pictures() == []
    summary = Artifact.get(f"summary-{Path(first.run_uri).name}")
    assert summary is not None
    assert "the budget of 1e-06 minutes was used up: 0 of 3 rows done" in str(summary.data)
    second = run_stylebatch(*command, home=bucket.folder, environment=environment)
    assert (second.code, second.lines[0]) == (0, "made 3, skipped 0, failed 0"), second
    assert second.run_uri == first.run_uri


@pytest.mark.usefixtures("harness")
def test_rows_of_unfinished_shards_count_as_done_when_the_budget_ends(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(5)
    begun = invert._show

    def run_out_of_time(content: Content) -> None:
        if len(invert.stylized) == 3:
            monkeypatch.setattr("tasks.leaving.time", SimpleNamespace(time=lambda: 4e9))
        begun(content)

    monkeypatch.setattr("tasks.engines.num_devices", lambda _device: 0)  # one shard at a time
    monkeypatch.setattr(invert, "_show", run_out_of_time)
    state = run(bucket.job(limits={"rows_per_shard": 2, "run_minutes": 1e6}))
    assert state.is_completed()
    assert state.message == (
        "the budget of 1e+06 minutes was used up: 3 of 5 rows done; start again to go on"
    )
    assert (len(bucket.results()), len(bucket.pictures())) == (2, 3)


@pytest.mark.usefixtures("harness")
def test_a_night_tries_rows_again_that_failed_for_a_passing_reason_three_times_in_all(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(2)
    (bucket.photographs / "photo01.jpg").write_bytes(b"")
    job = bucket.job()
    short_of_time(invert, monkeypatch)
    for _ in range(5):
        assert run(job, retry_passing=True).message == "made 0, skipped 0, failed 2"
    tried = [("0", number, "deadline") for number in (1, 2, 3)]
    assert attempts(bucket) == [tried[0], ("1", 1, "empty"), *tried[1:]]
    assert run(job).message == "made 0, skipped 0, failed 2"
    assert len(attempts(bucket)) == 4


@pytest.mark.usefixtures("harness")
def test_a_row_whose_reason_has_passed_is_made_the_next_night_and_others_can_still_be_retried(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(2)
    broken = bucket.photographs / "photo01.jpg"
    whole = broken.read_bytes()
    rows = [{"id": name, "uri": f"{name}.jpg"} for name in ("photo00", "photo01")]
    broken.write_bytes(b"")
    job = bucket.job(manifest_uri=str(bucket.manifest(*rows)))
    with monkeypatch.context() as patch:
        short_of_time(invert, patch)
        run(job)
    assert run(job, retry_passing=True).message == "made 1, skipped 0, failed 1"
    broken.write_bytes(whole)
    (folder,) = bucket.output.glob("runs/*")
    state = retry_run(str(folder), return_state=True)
    assert state.message == "made 1, skipped 1, failed 0"
    assert attempts(bucket)[2:] == [("photo00", 2, None), ("photo01", 3, None)]


@pytest.mark.usefixtures("harness")
def test_a_night_ends_with_forgetting_old_runs_but_no_pictures(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    run(bucket.job())
    (old,) = bucket.output.glob("runs/*")
    for path in old.rglob("*"):
        os.utime(path, (0, 0))
    run(bucket.job(max_side_px=40))
    assert old.exists()
    run(bucket.job(max_side_px=40), keep_days=30)
    assert not old.exists()
    assert len(list(bucket.output.glob("runs/*"))) == 1
    assert len(bucket.pictures()) == 4


@pytest.mark.usefixtures("harness", "invert")
def test_a_run_that_was_closed_too_early_is_closed_again(bucket: LocalBucket) -> None:
    bucket.fill(2)
    assert run(bucket.job()).message == "made 2, skipped 0, failed 0"
    (path,) = bucket.output.glob("runs/*/summary.json")
    early = {**bucket.summary(), "made": 0, "pending": 2}
    path.write_text(json.dumps(early))
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 0, skipped 2, failed 0")
    assert (bucket.summary()["made"], bucket.summary()["pending"]) == (2, 0)
