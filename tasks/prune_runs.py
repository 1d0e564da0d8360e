"""Task: forget old runs of an output."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from stylecore.batch.pruning import prune_runs
from tasks.storage import open_run


@task(
    name="prune",
    task_run_name="remove runs older than {keep_days} days",
    retries=2,
    retry_delay_seconds=[5, 30],
    cache_policy=NO_CACHE,
)
def prune_old_runs(run_uri: str, keep_days: int) -> list[str]:
    """Remove old runs beside a run, and say which; safe to retry.

    Args:
        run_uri: the run that was just worked on, which stays.
        keep_days: days without a write after which a run is removed.
    """
    log, removed = get_run_logger(), []
    run = open_run(run_uri)
    # A machine whose clock runs ahead would take runs for old that others are at.
    for uri in prune_runs(run, keep_days, run.store.time_at(run.run_uri)):
        log.info("removed %s: not written to for %d days", uri, keep_days)
        removed.append(uri)
    log.info("removed %d runs; pictures stay", len(removed))
    return removed
