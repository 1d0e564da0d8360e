"""Forgetting old runs, in a local folder and in a bucket."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from stylecore.batch.ledger import RunLedger
from stylecore.batch.pruning import prune_runs
from stylecore.batch.store import Store

CURRENT, OTHER = "00000000000000aa", "00000000000000bb"
KEPT = ("images/wave/a-123.jpg", "runs/by-hand/notes.txt", f"runs/{CURRENT}/job.json")
OLD = tuple(
    f"runs/{OTHER}/{name}"
    for name in ("job.json", "plan/00000.parquet", "results/00000.parquet", "claims/00000.1.json")
)
SOON = timedelta(days=29)
LATE = timedelta(days=31)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.e2e)])
def current(request: pytest.FixtureRequest, tmp_path: Path) -> RunLedger:
    """A run with another beside it, pictures, and what somebody else put there."""
    output_uri = str(tmp_path / "out")
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
        output_uri = f"s3://outbox/{uuid4().hex}"
    store = Store()
    for name in (*KEPT, *OLD):
        store.write_bytes(f"{output_uri}/{name}", b"{}")
    return RunLedger(store, output_uri, CURRENT)


def names(ledger: RunLedger) -> set[str]:
    start = len(ledger.output_uri) + 1
    return {info.uri[start:] for info in ledger.store.list_objects(ledger.output_uri)}


def prune(current: RunLedger, after: timedelta) -> list[str]:
    return list(prune_runs(current, 30, datetime.now(UTC) + after))


def test_a_run_that_nobody_wrote_to_for_long_goes_and_everything_else_stays(
    current: RunLedger,
) -> None:
    assert prune(current, SOON) == []
    assert names(current) == {*KEPT, *OLD}
    assert prune(current, LATE) == [f"{current.output_uri}/runs/{OTHER}"]
    assert names(current) == set(KEPT)
    assert prune(current, LATE) == []


def test_an_unfinished_run_that_is_still_written_to_stays(tmp_path: Path) -> None:
    store, output_uri = Store(), str(tmp_path)
    for name in OLD:
        store.write_bytes(f"{output_uri}/{name}", b"{}")
        os.utime(tmp_path / name, (0, 0))
    current = RunLedger(store, output_uri, CURRENT)
    store.write_bytes(f"{output_uri}/runs/{OTHER}/progress/00000.json", b"{}")
    assert prune(current, SOON) == []
    assert (tmp_path / "runs" / OTHER / "job.json").exists()


def test_an_old_run_leaves_no_empty_folders(tmp_path: Path) -> None:
    store, output_uri = Store(), str(tmp_path)
    store.write_bytes(f"{output_uri}/{OLD[1]}", b"{}")
    prune(RunLedger(store, output_uri, CURRENT), LATE)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_output_without_runs_has_nothing_to_forget(tmp_path: Path) -> None:
    assert prune(RunLedger(Store(), f"{tmp_path}/none", CURRENT), LATE) == []


def test_notes_on_photographs_that_no_run_met_for_long_go(current: RunLedger) -> None:
    note = f"{current.output_uri}/deaths/0123456789abcdef.json"
    current.store.write_bytes(note, b"{}")
    prune(current, SOON)
    assert current.store.exists(note)
    prune(current, LATE)
    assert not current.store.exists(note)
