"""Fan out over a run's shards, show progress, close: what every flow that makes pictures does."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from stylecore.batch.ledger import RunLedger
from stylecore.batch.suspects import begin_work, end_work
from stylecore.errors import RowError, StoreAwayError
from tasks.close_run import close_run
from tasks.closing import Summary, read_summary
from tasks.devices import uses_gpu
from tasks.engines import Place
from tasks.leaving import Budget
from tasks.publish import ProgressPublisher
from tasks.server_limit import limit_note
from tasks.sessions import name_session
from tasks.shard_work import RETRIED, Retry, ShardRequest
from tasks.storage import open_run
from tasks.working import rows_to_do, working

_NO_BUDGET = Budget()
_GO_ON = "start the job again to go on"


def run_shards(
    run_uri: str, *, retry: Retry = "no", place: Place | None = None, budget: Budget = _NO_BUDGET
) -> State[dict[str, Any]]:
    """Work through the shards that are to be done, inside a flow run.

    Args:
        run_uri: a planned run.
        retry: which failed rows are redone first.
        place: where to compute; None means where the run was planned to be.
        budget: the time for it.

    Returns:
        Completed with the summary, also where rows failed or the budget was used up; Failed if
        rows have no outcome for another reason, such as a store that is away.
    """
    started = time.monotonic()
    ledger = open_run(run_uri)
    made_before, before = count_made(ledger), read_summary(ledger)
    session = name_session(ledger.run_id)
    where = place or Place.of(ledger.record.job)
    request = ShardRequest(run_uri, 0, session, retry, where.device, budget)
    try:
        did_something = _make_pictures(ledger, request, where)
    except (StoreAwayError, RowError) as error:
        return Failed(message=f"{str(error).rstrip('. ')}; start the job again to go on")
    note = _used_up(ledger, budget)
    summary = None if did_something else before
    if summary is None or not summary.is_complete:
        seconds = time.monotonic() - started + (before.seconds if before else 0.0)
        needs_gpu = ledger.record.job.method != "identity" and uses_gpu(where.device)
        notes = "\n\n".join(filter(None, (note, limit_note() if needs_gpu else "")))
        try:
            summary = Summary.model_validate(close_run(run_uri, seconds, notes))
        except RowError as error:  # the results are written, or will be by the next start
            return Failed(message=f"no summary could be written: {error}; {_GO_ON}")
    line = summary.line(made_before)
    if summary.is_complete or note:
        return Completed(message=note or line, data=summary.model_dump(mode="json"))
    return Failed(message=f"{line}; {_GO_ON}")


def count_made(ledger: RunLedger) -> int:
    """Pictures that this run made so far."""
    return sum(outcome.status == "made" for outcome in ledger.outcomes())


def _make_pictures(ledger: RunLedger, request: ShardRequest, place: Place) -> bool:
    pending, failed = ledger.pending_shards(), Counter[int]()
    if request.retry != "no":
        is_wanted = RETRIED[request.retry]
        failed.update(outcome.shard for outcome in ledger.outcomes() if is_wanted(outcome))
    if not pending and not failed and ledger.record.shards:
        return False
    begin_work(ledger)
    publisher = ProgressPublisher(ledger, rows_to_do(ledger, pending, "no") + failed.total())
    with working(ledger, request, place, publisher) as work:
        # Whoever is at a shard already tries its failed rows again.
        work.through(sorted(failed), request.retry)
        work.until_done(pending)
    publisher.publish(is_last=True)
    if not ledger.pending_shards():
        end_work(ledger)
    return True


def _used_up(ledger: RunLedger, budget: Budget) -> str:
    """What to tell of a budget that ended the run; nothing where it did not."""
    if not budget.is_used_up:
        return ""
    pending = ledger.pending_shards()
    if not pending:
        return ""
    planned, words = ledger.record.planned, ledger.read_progress()
    done = planned - sum(ledger.record.shards[number].rows for number in pending)
    for number in set(pending) & words.keys():
        done += words[number]["made"] + words[number]["skipped"]
    return (
        f"the budget of {budget.minutes:g} minutes was used up: {done} of {planned} rows done; "
        "start again to go on"
    )
