"""What ``verify`` finds where the ledger and the pictures no longer agree, and what is set back."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from local_jobs import LocalBucket
from stub_stylizers import Invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.batch.verifying import Finding, set_back, unnamed_pictures, verify_shard
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture
def ledger(tmp_path: Path, invert: Invert) -> RunLedger:
    """Five rows in three shards, one of them failed."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(4)
    (bucket.photographs / "broken.jpg").write_bytes(b"")
    run = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 2}))
    work(run, range(3))
    return run


def work(run: RunLedger, numbers: range) -> None:
    for number in numbers:
        work_through_shard(run, ShardRequest(run.run_uri, number, f"{run.run_uri}", device="cpu"))


def findings(run: RunLedger) -> list[Finding]:
    return [
        finding
        for number, files in run.result_files().items()
        for finding in verify_shard(run, number, files, lambda: None)
    ]


def picture_of(run: RunLedger, row_id: str) -> Path:
    (outcome,) = [outcome for outcome in run.outcomes() if outcome.row_id == row_id]
    return Path(str(outcome.output_uri))


def kinds(found: list[Finding]) -> list[tuple[str, int]]:
    return [(finding.kind, finding.shard) for finding in found]


def test_nothing_is_found_in_a_run_that_nobody_touched(ledger: RunLedger) -> None:
    assert findings(ledger) == []
    assert list(unnamed_pictures(ledger)) == []


def test_a_picture_that_is_gone_or_has_other_bytes_is_found(ledger: RunLedger) -> None:
    picture_of(ledger, "1").unlink()
    with picture_of(ledger, "4").open("ab") as file:
        file.write(b"!")
    found = findings(ledger)
    assert kinds(found) == [("missing", 0), ("changed", 2)]
    assert str(found[0]).startswith("missing: row 1, wave ")
    assert str(found[0]).endswith(str(picture_of(ledger, "1")))


def test_a_skipped_picture_that_is_gone_is_found(ledger: RunLedger) -> None:
    job = ledger.record.job.model_copy(update={"run_key": "another"})
    again = prepare_run(Store(), job)
    work(again, range(3))
    assert {outcome.status for outcome in again.outcomes()} == {"failed", "skipped"}
    picture_of(again, "1").unlink()
    assert kinds(findings(again)) == [("missing", 0)]


def test_outcomes_without_a_row_and_rows_without_an_outcome_are_found(ledger: RunLedger) -> None:
    path = Path(ledger.uri("results", "00000.parquet"))
    table = pq.read_table(path)
    names = table.column("row_id").to_pylist()
    other = table.set_column(0, "row_id", [[names[0], "stranger"]])
    pq.write_table(other.cast(table.schema), path)
    found = findings(ledger)
    assert [(f.kind, f.row) for f in found] == [
        ("unplanned", "row stranger, wave"),
        ("unaccounted", f"row {names[1]}, wave"),
    ]


def test_what_is_set_back_is_made_again_and_what_is_true_is_kept(
    ledger: RunLedger, invert: Invert
) -> None:
    picture_of(ledger, "1").unlink()
    picture_of(ledger, "4").write_bytes(b"half a pic")
    kept = {path: path.stat().st_mtime_ns for path in [picture_of(ledger, "2")]}
    invert.stylized.clear()
    assert set_back(ledger, findings(ledger)) == [0, 2]
    assert ledger.pending_shards() == [0, 2]
    work(RunLedger(Store(), ledger.output_uri, ledger.run_id), range(3))
    assert findings(ledger) == []
    assert len(invert.stylized) == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_picture_that_cannot_be_read_now_is_told_but_not_set_back(
    ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylecore.errors import StorageTimeoutError

    read = Store.read_bytes

    def refuse(store: Store, uri: str, *arguments: int) -> tuple[bytes, str]:
        if "/images/" in uri:
            raise StorageTimeoutError(uri, "no answer")
        return read(store, uri, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read_bytes", refuse)
        found = findings(ledger)
    assert {finding.kind for finding in found} == {"unreadable"}
    assert set_back(ledger, found) == []
    assert findings(ledger) == []


def test_pictures_that_no_outcome_names_are_counted_and_no_fault(ledger: RunLedger) -> None:
    stranger = picture_of(ledger, "1").with_name("stranger-0123456789ab.jpg")
    stranger.write_bytes(b"of another run")
    assert list(unnamed_pictures(ledger)) == [str(stranger)]
    assert findings(ledger) == []
