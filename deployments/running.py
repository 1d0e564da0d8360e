"""Start a flow in this process and follow it: what ``run`` and ``retry`` have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

from deployments.console import RunProgress, complain, say, warn
from deployments.environment import check_server, prepare_prefect, server_url, shared_server
from deployments.server_loss import ServerLostError, noticing_server_loss
from stylecore.batch.estimate import evaluations_each
from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from tasks.closing import Summary, read_summary, summarize, survey_outcomes
from tasks.preparing import prepare_run
from tasks.runner_checks import check_runner

EXIT_DONE = 0
EXIT_BROKEN = 1
EXIT_FAILED_ROWS = 3
_PLACE: Final = ("device", "runner", "runner_address")  # where to compute, this time


def run_job(job: StylizeJob) -> int:
    """Plan a job, run its flow here, and say what came of it.

    Returns:
        The exit code: 0 all made or skipped, 3 some rows failed, 1 the run did not finish.

    Raises:
        JobError: the request is wrong; Prefect was not even imported.
    """
    check_server()
    check_runner(job.runner, job.runner_address)
    ledger = prepare_run(Store(), job)
    pending = ledger.pending_shards()
    summary = None if pending else read_summary(ledger)
    if summary is not None and summary.is_complete:
        return conclude(ledger, summary, summary.line(made_before=summary.made))
    todo = sum(ledger.record.shards[number].rows for number in pending)

    def start() -> Any:
        from flows.stylize_manifest import stylize_manifest

        planned = ledger.record.job
        limits = planned.limits.model_copy(update={"run_minutes": job.limits.run_minutes})
        update = {"limits": limits, **{name: getattr(job, name) for name in _PLACE}}
        here = planned.model_copy(update=update)
        with nullcontext() if job.runner == "threads" else shared_server():
            return stylize_manifest(here, return_state=True)

    return follow(ledger, todo, start)


def retry_failed(run_uri: str) -> int:
    """Redo the failed rows of a run here; exit codes as for ``run_job``.

    Raises:
        JobError: there is no such run, or the server does not answer.
    """
    check_server()
    ledger = open_ledger(Store(), run_uri)
    failed = sum(outcome.status == "failed" for outcome in ledger.outcomes())
    todo = failed + sum(ledger.record.shards[number].rows for number in ledger.pending_shards())
    summary = read_summary(ledger)
    if not todo and summary is not None and summary.is_complete:
        return conclude(ledger, summary, "nothing failed: nothing to retry")

    def start() -> Any:
        from flows.retry_run import retry_run

        return retry_run(ledger.run_uri, return_state=True)

    return follow(ledger, todo, start)


def follow(ledger: RunLedger, todo: int, start: Callable[[], Any]) -> int:
    """Run a flow with a progress bar, then tell its totals."""
    prepare_prefect()
    job = ledger.record.job
    where = server_url() or "Prefect's embedded server"
    try:
        with (
            RunProgress(ledger.run_uri, todo, evaluations_each(job)).shown("stylizing"),
            noticing_server_loss(),
        ):
            state = start()
    except KeyboardInterrupt:
        complain(f"stopped; start the same command again to go on\n{ledger.run_uri}")
        return EXIT_BROKEN
    except ServerLostError as lost:
        return _conclude_alone(ledger, lost)
    summary = read_summary(ledger) if state.is_completed() else None
    if summary is None:
        complain(f"the run did not finish ({where}): {state.message}\n{ledger.run_uri}")
        return EXIT_BROKEN
    return conclude(ledger, summary, state.message)


def _conclude_alone(ledger: RunLedger, lost: ServerLostError) -> int:
    """Tell what the ledger says, where the server cannot be asked any more."""
    survey = survey_outcomes(ledger.outcomes(), ledger.record.planned)
    summary = summarize(ledger, survey, 0.0)
    if summary.is_complete and read_summary(ledger) is not None:
        warn(f"{lost}; the run is done nevertheless, but the server may show it as running")
        return conclude(ledger, summary, summary.line())
    done = summary.planned - summary.pending
    complain(
        f"{lost}; {done} of {summary.planned} rows are done. With a server that answers, start the "
        f"same command again to go on\n{ledger.run_uri}"
    )
    return EXIT_BROKEN


def conclude(ledger: RunLedger, summary: Summary, line: str) -> int:
    """Print totals, where things are, and the run's URI last; returns the exit code."""
    say(line)
    for code, count in summary.failed_by_code.items():
        say(f"  {code}: {count}")
    say(f"pictures  {ledger.output_uri}/images/")
    say(f"report    {ledger.uri('report.html')}")
    say(ledger.run_uri)
    return EXIT_FAILED_ROWS if summary.failed else EXIT_DONE


def require_run(run_uri: str) -> RunLedger:
    """The ledger of a run that somebody named.

    Raises:
        JobError: there is no such run.
    """
    if not run_uri.strip():
        raise JobError("the run's URI is empty")
    return open_ledger(Store(), run_uri)
