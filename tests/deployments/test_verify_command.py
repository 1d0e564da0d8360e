"""``stylebatch verify``: what it says, its exit codes, and what it sets back."""

from pathlib import Path

import pytest
from command_line import Answer, run_stylebatch
from local_jobs import LocalBucket
from stub_stylizers import install_invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.reporting import close_ledger
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLedger:
    """A finished run of three pictures in two shards."""
    install_invert(monkeypatch)
    bucket = LocalBucket(tmp_path)
    bucket.fill(3)
    run = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 2}))
    for number in range(2):
        work_through_shard(run, ShardRequest(run.run_uri, number, run.run_id, device="cpu"))
    close_ledger(run, 1.0)
    return run


def verify(run: RunLedger, *options: str) -> Answer:
    return run_stylebatch("verify", run.run_uri, *options, home=Path(run.output_uri))


def test_a_run_that_is_true_says_so(ledger: RunLedger) -> None:
    answer = verify(ledger)
    assert (answer.code, answer.lines) == (
        0,
        ["shards      2 of 2 done", "result      made 3, skipped 0, failed 0"],
    )


def test_what_is_not_true_is_named_and_set_back_only_when_asked_for(ledger: RunLedger) -> None:
    (first, *_) = ledger.outcomes()
    Path(str(first.output_uri)).unlink()
    answer = verify(ledger)
    assert answer.code == 3
    assert answer.lines[1:3] == [
        "missing     1",
        f"  missing: row {first.row_id}, wave {first.output_uri}",
    ]
    assert "--repair" in answer.stderr
    assert ledger.pending_shards() == []
    repaired = verify(ledger, "--repair")
    assert repaired.code == 3
    assert repaired.lines[-1].startswith("set back    1 of 2 shards; `stylebatch retry ")
    assert ledger.pending_shards() == [first.shard]


def test_a_summary_that_does_not_add_up_is_told(ledger: RunLedger) -> None:
    path = Path(ledger.uri("summary.json"))
    path.write_text(path.read_text().replace('"made": 3', '"made": 2'))
    answer = verify(ledger)
    assert answer.code == 0
    assert answer.lines[-1].startswith("summary     says made 2, skipped 0, failed 0; ")


def test_no_run_is_a_wrong_request(tmp_path: Path) -> None:
    answer = run_stylebatch("verify", str(tmp_path / "runs" / "x"), home=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert "there is no run here" in answer.stderr
