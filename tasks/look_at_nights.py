"""Task: ask the Prefect server how the last planned night went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger

from tasks.nights import Finding, Night, judge_nights

NIGHTLY: Final = "stylize-manifest/nightly"
_RUNS_SEEN: Final = 200


@task(name="look", retries=2, retry_delay_seconds=[5, 30], cache_policy=NO_CACHE)
def look_at_nights() -> Finding:
    """Judge the last planned night; only reads, so it may be tried again."""
    finding = find_nights()
    get_run_logger().info(finding.text)
    return finding


def find_nights() -> Finding:
    """The same, outside of a task."""
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(NIGHTLY)
        except ObjectNotFound:
            return judge_nights([], is_scheduled=False)
        due = filters.FlowRunFilter(
            deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment.id]),
            expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
        )
        latest_first = FlowRunSort.EXPECTED_START_TIME_DESC
        runs = client.read_flow_runs(flow_run_filter=due, sort=latest_first, limit=_RUNS_SEEN)
    is_active = any(schedule.active for schedule in deployment.schedules)
    nights = [_night(run) for run in runs]
    return judge_nights(nights, is_scheduled=is_active and not deployment.paused)


def _night(run: FlowRun) -> Night:
    state = run.state
    return Night(
        name=run.name,
        due=run.expected_start_time or datetime.min.replace(tzinfo=UTC),
        state="unknown" if state is None else str(state.name),
        ended=run.end_time,
        is_planned=run.auto_scheduled,
        is_completed=state is not None and state.is_completed(),
    )
