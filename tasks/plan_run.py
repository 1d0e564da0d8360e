"""Task: from a job to a planned run."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from stylecore.config import StylizeJob
from tasks.preparing import prepare_run
from tasks.storage import store


@task(name="plan", task_run_name="plan shards", cache_policy=NO_CACHE)
def plan_run(job: StylizeJob) -> str:
    """Plan a job, unless its plan is there; safe to retry, since it finds the same run again."""
    ledger = prepare_run(store(), job)
    record = ledger.record
    get_run_logger().info(
        "%s: %d pictures in %d shards, %d duplicates dropped",
        ledger.run_uri,
        record.planned,
        len(record.shards),
        record.duplicates,
    )
    return ledger.run_uri
