"""Task: totals, report and what the dashboard keeps of a run."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.failed_rows import tell_failed_rows
from tasks.publish import publish_summary
from tasks.reporting import close_ledger
from tasks.storage import open_run


@task(
    name="close",
    task_run_name="write summary and report",
    retries=2,
    retry_delay_seconds=[5, 30],
    cache_policy=NO_CACHE,
)
def close_run(run_uri: str, seconds: float, note: str = "") -> dict[str, Any]:
    """Write summary and report, show them, and tell of failed rows; safe to retry: all is derived.

    Args:
        run_uri: the run.
        seconds: wall time spent on it, over all sessions.
        note: what else the dashboard's summary says.
    """
    ledger = open_run(run_uri)
    closing = close_ledger(ledger, seconds)
    publish_summary(ledger, closing, note)
    tell_failed_rows(ledger, closing.summary)
    return closing.summary.model_dump(mode="json")
