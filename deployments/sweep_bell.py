"""From many notifications to few sweeps: wait for the burst to pass, and for a running sweep."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.filters import FlowRunFilter

DEPLOYMENT: Final = "stylize-uploads/on-upload"
QUIET_S: Final = 2.0
_log = logging.getLogger(__name__)


class SweepBell:
    """Starts a sweep some seconds after it was rung, however often that was.

    Args:
        start: starts a sweep; False where that has to wait because one is at work, which may have
            looked before the upload came.
        quiet_s: time from the first ring to the sweep.
    """

    def __init__(self, start: Callable[[], bool], quiet_s: float = QUIET_S) -> None:
        self._start = start
        self._quiet_s = quiet_s
        self._rung = threading.Event()
        self._stopped = threading.Event()

    def ring(self) -> None:
        """Ask for a sweep."""
        self._rung.set()

    def stop(self) -> None:
        """End ``run``."""
        self._stopped.set()
        self._rung.set()

    def run(self) -> None:
        """Turn rings into sweeps until stopped."""
        while True:
            self._rung.wait()
            if self._stopped.wait(self._quiet_s):
                return
            self._rung.clear()
            try:
                if not self._start():
                    self.ring()
            except Exception:  # the scheduled sweep finds what this one would have
                _log.exception("no sweep could be started")


def start_sweep() -> bool:
    """Start a sweep on the server, unless one is about to start.

    Returns:
        False where one is at work.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType

    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        runs = client.read_flow_runs(flow_run_filter=_due_runs_of(deployment.id), limit=200)
        states = {run.state.type for run in runs if run.state is not None}
        if states - {StateType.SCHEDULED}:
            return False
        if not states:
            client.create_flow_run_from_deployment(deployment.id, name="after an upload")
        return True


def _due_runs_of(deployment_id: UUID) -> FlowRunFilter:
    """Runs that are at work or should be."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    names = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
    return filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment_id]),
        state=filters.FlowRunFilterState(
            type=filters.FlowRunFilterStateType(any_=[StateType(name) for name in names])
        ),
        expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
