"""Serve the deployments of the local stack: their schedules, and a process for each run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from prefect import serve
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import filters
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Crashed

from deployments.catalog import Occasions, catalog
from deployments.reconciling import Wanted, devices_here, reconcile

if TYPE_CHECKING:
    from uuid import UUID

    from stylecore.batch.inbox import UploadsJob

_LOOK_EVERY_S: Final = 2
_PAGE: Final = 200


def serve_uploads(job: UploadsJob) -> None:
    """Register what belongs on the server and run what is due, until SIGTERM."""
    deployments = catalog(Occasions(uploads=job))
    for deployment in deployments:
        deployment.work_pool_name = None  # runs are processes of this one
        deployment.job_variables = {}  # with its environment
    with get_client(sync_client=True) as client:
        end_left_runs(client)
        reconcile(client, Wanted(deployments, devices_here()), is_dry_run=False)
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
