"""What a command says when its Prefect server went away: sentences, and what the ledger says."""

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from local_jobs import LocalBucket
from prefect.exceptions import ObjectNotFound

from deployments.prefect_console import BriefConsoleHandler
from deployments.running import follow
from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.reporting import close_ledger
from tasks.shard_work import ShardRequest, work_through_shard

URL = "http://127.0.0.1:4200/api"
Raise = Callable[[], Any]


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", URL)
    # The settings of a command would be those of all tests that come later in this process.
    monkeypatch.setattr("deployments.running.prepare_prefect", lambda: None)


def run_of_three_shards(bucket: LocalBucket, *, done: int) -> RunLedger:
    """Five rows, of which the first shards are done."""
    bucket.fill(5)
    ledger = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 2}))
    for number in range(done):
        request = ShardRequest(ledger.run_uri, number, str(bucket.folder), device="cpu")
        work_through_shard(ledger, request)
    return ledger


def refused() -> Any:
    raise httpx.ConnectError("[Errno 111] Connection refused")


def unknown() -> Any:
    raise ObjectNotFound(RuntimeError("flow run"))


@pytest.mark.usefixtures("invert")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused, "does not answer any more ([Errno 111] Connection refused)"),
        (unknown, "does not know this run any more: it lost its database"),
    ],
)
def test_a_run_that_is_not_done_says_how_far_it_is_and_how_to_go_on(
    bucket: LocalBucket, capsys: pytest.CaptureFixture[str], fault: Raise, reason: str
) -> None:
    ledger = run_of_three_shards(bucket, done=2)
    assert follow(ledger, 1, fault) == 1
    said = capsys.readouterr().err
    assert f"error: the Prefect server ({URL}) {reason}; 4 of 5 rows are done. With a" in said
    assert said.rstrip().endswith(ledger.run_uri)


@pytest.mark.usefixtures("invert")
def test_a_run_that_is_done_ends_as_it_is_with_a_warning(
    bucket: LocalBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = run_of_three_shards(bucket, done=3)
    close_ledger(ledger, 1.0)
    assert follow(ledger, 1, refused) == 0
    said = capsys.readouterr()
    assert said.out.startswith("made 5, skipped 0, failed 0\n")
    assert said.out.rstrip().endswith(ledger.run_uri)
    assert "warning: the Prefect server" in said.err
    assert "the run is done nevertheless" in said.err


@pytest.mark.usefixtures("invert")
def test_a_fault_of_ours_is_not_blamed_on_the_server(bucket: LocalBucket) -> None:
    def fault() -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        follow(run_of_three_shards(bucket, done=0), 1, fault)


def test_prefect_says_in_a_line_what_it_has_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    handler = BriefConsoleHandler()
    try:
        refused()
    except httpx.ConnectError:
        for name in ("prefect.events.clients", "prefect.flow_runs"):
            logger = logging.Logger(name)
            logger.addHandler(handler)
            logger.exception("it went wrong")
    assert capsys.readouterr().err == "it went wrong\n"
