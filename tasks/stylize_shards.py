"""Task: make the pictures of one shard, or of several where they are tiny."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.progress import Tally
from tasks.retrying import is_fault_of_ours
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.storage import open_run


@task(
    name="stylize",
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=[5, 60],
    retry_condition_fn=is_fault_of_ours,
    cache_policy=NO_CACHE,
)
def stylize_shards(label: str, requests: Sequence[ShardRequest]) -> dict[str, Any]:
    """Make every picture of some shards; safe to retry, because finished pictures are found.

    Args:
        label: the task run's name: style, shards and rows.
        requests: the shards, one after the other, as long as there is time.

    Returns:
        The counts of their outcomes, and under ``busy`` the shards that somebody else works on.
    """
    total = Tally()
    busy: list[int] = []
    attempt = runtime.task_run.run_count
    for request in requests:
        if request.budget.is_used_up:
            break
        tally = work_through_shard(open_run(request.run_uri), request, attempt)
        if tally is None:
            busy.append(request.number)
        else:
            total.merge(tally)
    counts = f"made {total.made}, skipped {total.skipped}, failed {total.failed}"
    left = f", left {len(busy)} shards to others" if busy else ""
    get_run_logger().info("%s: %s%s", label, counts, left)
    return {**total.as_dict(), "busy": busy}
