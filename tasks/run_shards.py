"""Fan out over a run's shards, show progress, close: what every flow that makes pictures does."""

from __future__ import annotations

import time
from typing import Any

from prefect import runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from stylecore.batch.ledger import RunLedger
from tasks.close_run import close_run
from tasks.closing import Summary, read_summary
from tasks.fan_out import fan_out
from tasks.publish import ProgressPublisher
from tasks.stopping import stop_flag
from tasks.storage import open_run


def run_shards(run_uri: str, *, is_retry: bool = False) -> State[dict[str, Any]]:
    """Work through the shards that are to be done, inside a flow run.

    Args:
        run_uri: a planned run.
        is_retry: redo failed rows too.

    Returns:
        Completed with the summary, also where rows failed; Failed if rows have no outcome.
    """
    started = time.monotonic()
    ledger = open_run(run_uri)
    made_before = count_made(ledger)
    session = f"{runtime.flow_run.id}/{runtime.flow_run.run_count}"
    try:
        did_something = _make_pictures(ledger, session, is_retry)
    finally:
        stop_flag(session).set()  # however this ends, no thread computes on
    summary = None if did_something else read_summary(ledger)
    if summary is None:
        closed = close_run(run_uri, time.monotonic() - started)
        summary = Summary.model_validate(closed)
    line = summary.line(made_before)
    if summary.is_complete:
        return Completed(message=line, data=summary.model_dump(mode="json"))
    return Failed(message=f"{line}; start the job again to go on")


def count_made(ledger: RunLedger) -> int:
    """Pictures that this run made so far."""
    return sum(outcome.status == "made" for outcome in ledger.outcomes())


def _make_pictures(ledger: RunLedger, session: str, is_retry: bool) -> bool:
    pending = ledger.pending_shards()
    retries = [number for number in ledger.result_files() if is_retry]
    if not pending and not retries and ledger.record.shards:
        return False
    record = ledger.record
    todo = sum(record.shards[number].rows for number in (*pending, *retries))
    publisher = ProgressPublisher(ledger, todo)
    for numbers, redo in ((pending, False), (retries, True)):
        for _ in fan_out(ledger, session, numbers, redo):
            publisher.publish()
    publisher.publish(is_last=True)
    return True
