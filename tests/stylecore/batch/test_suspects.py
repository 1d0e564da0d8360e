"""What runs of one output know of photographs that end processes, in a folder and in a bucket."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dead_processes import leave_dead_claim
from local_jobs import LocalBucket

from stylecore.batch.claims import claim_shard, stand_of_shards
from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.processes import this_process
from stylecore.batch.store import Store
from stylecore.batch.suspects import Suspects, begin_work, end_work
from stylecore.config import StylizeJob
from stylecore.errors import ForbiddenError
from tasks.preparing import prepare_run

CRASHED = Outcome(
    "r", "a.jpg", "wave", "wave.jpg", "failed", 0, error_code="crashed", error_message="m"
)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.e2e)])
def output_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "out")
    request.getfixturevalue("s3_environment")
    return f"s3://outbox/{uuid4().hex}"


@pytest.fixture
def job(tmp_path: Path, output_uri: str) -> StylizeJob:
    """Five photographs, in shards of two."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(5)
    limits = {"rows_per_shard": 2}
    return bucket.job(output_uri=output_uri, method="identity", limits=limits)


@pytest.fixture
def died(job: StylizeJob) -> RunLedger:
    """A run whose process died at its second shard."""
    run = prepare_run(Store(), job)
    begin_work(run)
    leave_dead_claim(run, shard=1)
    return run


@pytest.fixture
def tomorrow(died: RunLedger, job: StylizeJob, tmp_path: Path) -> RunLedger:
    """The next night's run, over one photograph more."""
    (tmp_path / "in" / "photo99.jpg").write_bytes((tmp_path / "in" / "photo00.jpg").read_bytes())
    return prepare_run(Store(), job)


def open_runs(run: RunLedger) -> set[str]:
    listed = run.store.list_objects(f"{run.output_uri}/deaths/open/")
    return {info.uri.rpartition("/")[2] for info in listed}


def mark_open_by_a_dead_process(run: RunLedger) -> None:
    process = this_process().model_copy(update={"pid": 2**22 + 1})
    marker = json.dumps({"process": process.model_dump()}).encode()
    run.store.write_bytes(f"{run.output_uri}/deaths/open/{run.run_id}", marker)


def suspects_among(run: RunLedger) -> list[str]:
    rows = [row for number in range(len(run.record.shards)) for row in run.read_shard(number).rows]
    uris = [row.content_uri for row in rows]
    found = Suspects(run.store, run.output_uri).among(enumerate(uris))
    return [Path(uris[place]).stem for place in sorted(found)]


def test_what_a_dead_run_had_in_hand_is_suspect_in_the_next(tomorrow: RunLedger) -> None:
    assert suspects_among(tomorrow) == []
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == ["photo02", "photo03"]


def test_they_are_suspect_until_each_is_cleared_and_not_found_anew(
    died: RunLedger, tomorrow: RunLedger
) -> None:
    mark_open_by_a_dead_process(died)
    begin_work(tomorrow)
    suspects = Suspects(tomorrow.store, tomorrow.output_uri)
    suspects.clear(tomorrow.read_shard(1).rows[0].content_uri)
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == ["photo03"]


def test_a_run_that_is_started_again_suspects_its_own_rows_too(died: RunLedger) -> None:
    begin_work(died)
    assert suspects_among(died) == ["photo02", "photo03"]
    assert open_runs(died) == {died.run_id}


def test_a_run_that_is_complete_leaves_nothing(died: RunLedger, tomorrow: RunLedger) -> None:
    end_work(died)
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == []


def test_a_dead_run_that_was_pruned_is_forgotten(died: RunLedger, tomorrow: RunLedger) -> None:
    died.store.delete(died.uri("job.json"))
    mark_open_by_a_dead_process(died)
    begin_work(tomorrow)
    assert open_runs(tomorrow) == {tomorrow.run_id}


def test_a_dead_run_that_nobody_is_at_is_noted_once(died: RunLedger, tomorrow: RunLedger) -> None:
    mark_open_by_a_dead_process(died)
    begin_work(tomorrow)
    assert open_runs(tomorrow) == {tomorrow.run_id}


def test_a_run_that_others_are_still_at_stays_open(died: RunLedger, tomorrow: RunLedger) -> None:
    mark_open_by_a_dead_process(died)
    with claim_shard(died, 2):
        assert stand_of_shards(died) == {1: "died", 2: "held"}
        begin_work(tomorrow)
    assert open_runs(died) == {died.run_id, tomorrow.run_id}


def test_a_run_that_has_not_come_to_its_first_claim_stays_open(
    job: StylizeJob, died: RunLedger
) -> None:
    starting = prepare_run(Store(), job.model_copy(update={"run_key": "another"}))
    begin_work(starting)
    begin_work(died)
    assert open_runs(died) == {died.run_id, starting.run_id}


@pytest.mark.parametrize("broken", ["job.json", "plan/00001.parquet"])
def test_a_run_that_cannot_be_read_ends_no_other(
    died: RunLedger, tomorrow: RunLedger, broken: str
) -> None:
    mark_open_by_a_dead_process(died)
    died.store.write_bytes(died.uri(broken), b"of another version")
    begin_work(tomorrow)
    assert open_runs(tomorrow) == {tomorrow.run_id}


def test_what_is_not_ours_stays_where_it_is(died: RunLedger) -> None:
    theirs = [f"{died.output_uri}/open/house/p.jpg", f"{died.output_uri}/deaths/open/house/p.jpg"]
    for uri in theirs:
        died.store.write_bytes(uri, b"theirs")
    begin_work(died)
    assert all(died.store.exists(uri) for uri in theirs)


def test_a_retry_that_died_is_seen_though_the_shard_has_results(died: RunLedger) -> None:
    shard = died.read_shard(1)
    assert died.write_results(shard, [CRASHED] * len(shard.rows))
    assert stand_of_shards(died) == {}
    leave_dead_claim(died, shard=1, number=2)
    assert stand_of_shards(died) == {1: "died"}


def test_a_store_that_fails_does_not_end_the_work(
    died: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ForbiddenError("here", "not yours")

    for name in ("list_objects", "delete", "write_bytes"):
        monkeypatch.setattr(died.store, name, refuse)
    begin_work(died)
    end_work(died)
    suspects = Suspects(died.store, died.output_uri)
    suspects.note(CRASHED, died.run_uri)
    suspects.clear("a.jpg")


def test_a_shard_that_was_left_in_order_is_not_suspect(died: RunLedger) -> None:
    with claim_shard(died, 0):
        pass
    assert stand_of_shards(died) == {0: "left", 1: "died"}


def test_a_photograph_that_ended_a_process_is_set_aside_in_that_run_alone(output_uri: str) -> None:
    suspects = Suspects(Store(), output_uri)
    suspects.note(CRASHED, "this run")
    suspect = suspects.among([(7, "a.jpg"), (8, "b.jpg")])[7]
    error = suspect.error_in("this run")
    assert error is not None
    assert (error.code, str(error)) == ("crashed", "m")
    assert suspect.error_in("another") is None


def test_what_is_no_note_of_ours_makes_nobody_suspect(tmp_path: Path) -> None:
    suspects = Suspects(Store(), str(tmp_path))
    suspects.note(CRASHED, "run")
    (path,) = (tmp_path / "deaths").iterdir()
    note = json.loads(path.read_text())
    path.write_text(json.dumps(note | {"content_uri": "b.jpg"}))
    assert suspects.among([(0, "a.jpg")]) == {}
    path.write_text("{")
    assert suspects.among([(0, "a.jpg")]) == {}


@pytest.mark.parametrize(
    ("status", "code", "style", "is_cleared"),
    [
        ("made", None, "wave.jpg", True),
        ("skipped", None, "wave.jpg", True),
        ("failed", "not_an_image", "wave.jpg", True),
        ("failed", "crashed", "wave.jpg", False),
        ("failed", "missing", "wave.jpg", False),
        ("failed", "storage_timeout", "wave.jpg", False),
        ("made", None, "sea.jpg", False),
        ("skipped", None, "sea.jpg", False),
    ],
)
def test_a_row_clears_its_photograph_where_it_shows_that_it_does_no_harm_in_that_style(
    tmp_path: Path, status: Any, code: str | None, style: str, is_cleared: bool
) -> None:
    suspects = Suspects(Store(), str(tmp_path))
    suspects.note(CRASHED, "run")
    suspect = suspects.among([(0, "a.jpg")])[0]
    outcome = replace(CRASHED, status=status, error_code=code, style_uri=style)
    assert suspect.is_cleared_by(outcome) is is_cleared


def test_more_that_is_known_is_not_forgotten_for_less(tmp_path: Path) -> None:
    suspects = Suspects(Store(), str(tmp_path))
    suspects.note(CRASHED, "run")
    suspects.note_in_hand("a.jpg", "sea.jpg", "another")
    assert suspects.among([(0, "a.jpg")])[0].error_code == "crashed"
