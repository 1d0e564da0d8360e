"""Fan out over a run's shards, show progress, close: what every flow that makes pictures does."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

from prefect import runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from stylecore.batch.ledger import RunLedger
from tasks.close_run import close_run
from tasks.closing import Summary, read_summary
from tasks.fan_out import fan_out
from tasks.publish import ProgressPublisher
from tasks.shard_work import ShardRequest
from tasks.stopping import stop_flag
from tasks.storage import open_run


def run_shards(
    run_uri: str, *, is_retry: bool = False, device: str | None = None
) -> State[dict[str, Any]]:
    """Work through the shards that are to be done, inside a flow run.

    Args:
        run_uri: a planned run.
        is_retry: redo failed rows too.
        device: where to compute; None means where the run was planned to be.

    Returns:
        Completed with the summary, also where rows failed; Failed if rows have no outcome.
    """
    started = time.monotonic()
    ledger = open_run(run_uri)
    made_before, before = count_made(ledger), read_summary(ledger)
    session = f"{runtime.flow_run.id}/{runtime.flow_run.run_count}"
    request = ShardRequest(run_uri, 0, session, is_retry, device or ledger.record.job.device)
    try:
        did_something = _make_pictures(ledger, request)
    finally:
        stop_flag(session).set()  # however this ends, no thread computes on
    summary = None if did_something else before
    if summary is None:
        seconds = time.monotonic() - started + (before.seconds if before else 0.0)
        summary = Summary.model_validate(close_run(run_uri, seconds))
    line = summary.line(made_before)
    if summary.is_complete:
        return Completed(message=line, data=summary.model_dump(mode="json"))
    return Failed(message=f"{line}; start the job again to go on")


def count_made(ledger: RunLedger) -> int:
    """Pictures that this run made so far."""
    return sum(outcome.status == "made" for outcome in ledger.outcomes())


def _make_pictures(ledger: RunLedger, request: ShardRequest) -> bool:
    pending, failed = ledger.pending_shards(), Counter[int]()
    if request.is_retry:
        failed.update(o.shard for o in ledger.outcomes() if o.status == "failed")
    record = ledger.record
    if not pending and not failed and record.shards:
        return False
    todo = sum(record.shards[number].rows for number in pending) + failed.total()
    publisher = ProgressPublisher(ledger, todo)
    for numbers, is_retry in ((pending, False), (sorted(failed), True)):
        for _ in fan_out(ledger, numbers, replace(request, is_retry=is_retry)):
            publisher.publish()
    publisher.publish(is_last=True)
    return True
