"""What runs of one output know of photographs that end processes, in a folder and in a bucket."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from dead_processes import leave_dead_claim
from local_jobs import LocalBucket

from stylecore.batch.claims import claim_shard, stand_of_shards
from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.store import Store
from stylecore.batch.suspects import Suspects, begin_work, end_work
from stylecore.config import StylizeJob
from tasks.preparing import prepare_run

CRASHED = Outcome("r", "a.jpg", "s", "s.jpg", "failed", 0, error_code="crashed", error_message="m")


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


def suspects_among(run: RunLedger) -> list[str]:
    rows = [row for number in range(len(run.record.shards)) for row in run.read_shard(number).rows]
    uris = [row.content_uri for row in rows]
    found = Suspects(run.store, run.output_uri).among(enumerate(uris))
    return [Path(uris[place]).stem for place in sorted(found)]


def test_what_a_dead_run_had_in_hand_is_suspect_in_the_next(tomorrow: RunLedger) -> None:
    assert suspects_among(tomorrow) == []
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == ["photo02", "photo03"]


def test_they_are_suspect_until_each_is_cleared_and_not_found_anew(tomorrow: RunLedger) -> None:
    begin_work(tomorrow)
    suspects = Suspects(tomorrow.store, tomorrow.output_uri)
    suspects.clear(tomorrow.read_shard(1).rows[0].content_uri)
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == ["photo03"]


def test_a_run_that_is_started_again_goes_by_its_own_claims(died: RunLedger) -> None:
    begin_work(died)
    assert suspects_among(died) == []


def test_a_run_that_is_complete_leaves_nothing(died: RunLedger, tomorrow: RunLedger) -> None:
    end_work(died)
    begin_work(tomorrow)
    assert suspects_among(tomorrow) == []


def test_a_dead_run_that_was_pruned_is_forgotten(died: RunLedger, tomorrow: RunLedger) -> None:
    died.store.delete(died.uri("job.json"))
    begin_work(tomorrow)
    names = [info.uri for info in tomorrow.store.list_objects(f"{tomorrow.output_uri}/open/")]
    assert [name.rpartition("/")[2] for name in names] == [tomorrow.run_id]


def test_a_run_that_others_are_still_at_stays_open(died: RunLedger, tomorrow: RunLedger) -> None:
    with claim_shard(died, 2):
        assert stand_of_shards(died) == {1: "died", 2: "held"}
        begin_work(tomorrow)
    open_runs = [info.uri for info in died.store.list_objects(f"{died.output_uri}/open/")]
    assert {name.rpartition("/")[2] for name in open_runs} == {died.run_id, tomorrow.run_id}


def test_a_shard_that_was_left_in_order_is_not_suspect(died: RunLedger) -> None:
    with claim_shard(died, 0):
        pass
    assert stand_of_shards(died) == {0: "left", 1: "died"}


def test_a_photograph_that_ended_a_process_is_set_aside_in_that_run_alone(output_uri: str) -> None:
    suspects = Suspects(Store(), output_uri)
    suspects.note("a.jpg", "this run", CRASHED)
    suspect = suspects.among([(7, "a.jpg"), (8, "b.jpg")])[7]
    error = suspect.error_in("this run")
    assert error is not None
    assert (error.code, str(error)) == ("crashed", "m")
    assert suspect.error_in("another") is None


def test_what_is_no_note_of_ours_makes_nobody_suspect(tmp_path: Path) -> None:
    suspects = Suspects(Store(), str(tmp_path))
    suspects.note("a.jpg", "run", CRASHED)
    (path,) = (tmp_path / "suspects").iterdir()
    note = json.loads(path.read_text())
    path.write_text(json.dumps(note | {"content_uri": "b.jpg"}))
    assert suspects.among([(0, "a.jpg")]) == {}
    path.write_text("{")
    assert suspects.among([(0, "a.jpg")]) == {}
