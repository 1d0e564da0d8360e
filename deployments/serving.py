"""Serve the deployments of the local stack: their schedules, and a process for each run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from prefect import serve
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import filters
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    State,
    StateType,
)
from prefect.schedules import Interval
from prefect.states import Cancelled, Crashed
from prefect.types.entrypoint import EntrypointType

from deployments.catalog import catalog
from deployments.nightly import Nightly
from deployments.sweep_bell import DEPLOYMENT
from flows.stylize_uploads import stylize_uploads

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.deployments.runner import RunnerDeployment

    from stylecore.batch.inbox import UploadsJob

SWEEP_EVERY_S: Final = 60
_LOOK_EVERY_S: Final = 2
_PAGE: Final = 200


def uploads_deployment(job: UploadsJob) -> RunnerDeployment:
    """The sweep of an inbox: on a schedule, and whenever a notification asks for one.

    A sweep that is asked for while one is at work is cancelled rather than queued: the one at work
    looks again before it ends, and an hour of work would queue sixty that find nothing to do.

    Args:
        job: which inbox, to where, and how.
    """
    made = stylize_uploads.to_deployment(
        DEPLOYMENT.partition("/")[2],
        description="Stylize new uploads; what has a picture or a lasting failure is left alone.",
        schedules=[Interval(SWEEP_EVERY_S)],
        parameters={"job": job.model_dump(mode="json")},
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        tags=["stylebatch"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast("RunnerDeployment", made)  # a coroutine only where there is an event loop


def serve_uploads(job: UploadsJob) -> None:
    """Register the deployments and run what is due, until SIGTERM."""
    with get_client(sync_client=True) as client:
        end_left_runs(client)
    deployments = [uploads_deployment(job), *catalog(Nightly())]
    for deployment in deployments:
        deployment.work_pool_name = None  # runs are processes of this one
    serve(
        *deployments,
        pause_on_shutdown=False,
        print_starting_message=False,
        query_seconds=_LOOK_EVERY_S,
    )


def end_left_runs(client: SyncPrefectClient) -> int:
    """End runs that a stack left behind which is no more; returns how many.

    Their processes are gone, and one that is called running keeps the sweeps' only slot; those
    that were due meanwhile would all be started at once.
    """
    names = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.SCHEDULED)
    ended: set[UUID] = set()
    while runs := client.read_flow_runs(flow_run_filter=_left(names), limit=_PAGE):
        if ended.issuperset(run.id for run in runs):
            break  # the server will not have it
        for run in runs:
            was_due = run.state is not None and run.state.type == StateType.SCHEDULED
            why = "the stack was stopped before this run ended"
            state: State[Any] = Cancelled(message=why) if was_due else Crashed(message=why)
            client.set_flow_run_state(run.id, state, force=True)
            ended.add(run.id)
    return len(ended)


def _left(names: tuple[StateType, ...]) -> filters.FlowRunFilter:
    return filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=list(names))),
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
