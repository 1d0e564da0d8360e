"""Automations: what the server does by itself about runs of ours. Contacts no server.

Of ours is what was started from our deployments: it carries their tag, and its process the
heartbeats that ``catalog`` sets. Runs of a person's command line are left to that person.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from deployments.catalog import TAG
from tasks.failed_rows import FAILED_ROWS_EVENT

_HEARTBEAT: Final = "prefect.flow-run.heartbeat"
_HEARTBEATS_MISSED: Final = timedelta(seconds=90)
_ENDED: Final = frozenset(
    f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "Crashed")
)
_BROKEN: Final = frozenset({"prefect.flow-run.Failed", "prefect.flow-run.Crashed"})
_RUNS: Final = {"prefect.resource.id": "prefect.flow-run.*"}
_OURS: Final = {
    "prefect.resource.role": "tag",
    "prefect.resource.id": f"prefect.tag.{TAG}",
}
_CHECK: Final = {"prefect.resource.role": "flow", "prefect.resource.name": "check-nightly"}
_NO_CHECK: Final = {**_CHECK, "prefect.resource.name": "!check-nightly"}
_STATE: Final = (
    "{{ flow_run.name }} ({{ flow.name }}) is {{ flow_run.state.name }}: "
    "{{ flow_run.state.message }}\n{{ flow_run|ui_url or '' }}"
)


def automations(notify_block: UUID | None, *, expects_nights: bool) -> list[AutomationCore]:
    """Every automation that belongs to no single deployment.

    Args:
        notify_block: the notification block that is told; None: nobody is.
        expects_nights: whether somebody is told of a night without a completed run.
    """
    found = [_mark_dead_runs()]
    if notify_block is not None:
        found += [_tell_broken_runs(notify_block), _tell_failed_rows(notify_block)]
        if expects_nights:
            found.append(_tell_missing_nights(notify_block))
    return found


def _mark_dead_runs() -> AutomationCore:
    """Runs whose process, runner and machine are gone say nothing: their heartbeats stop."""
    message = (
        "no sign of life for 90 s: the machine, the worker or the process is gone. What was made "
        "is kept; start the same run again to go on"
    )
    return AutomationCore(
        name="stylebatch: a dead run is marked as crashed",
        description="A run whose heartbeats stop before it has ended is marked as Crashed.",
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *_ENDED},
            match=_RUNS,
            match_related=_OURS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_HEARTBEATS_MISSED,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _tell_broken_runs(block: UUID) -> AutomationCore:
    return AutomationCore(
        name="stylebatch: a run that failed or crashed is told",
        description="Tells of a run that did not finish.",
        trigger=_each_run(_BROKEN, [_OURS, _NO_CHECK]),
        actions=[_tell(block, "stylebatch: {{ flow_run.name }} {{ flow_run.state.name }}", _STATE)],
    )


def _tell_failed_rows(block: UUID) -> AutomationCore:
    body = (
        "{{ event.payload.run }} finished: {{ event.payload.counts }} "
        "({{ event.payload.failed_by_code }}).\n"
        "Report: {{ event.payload.report_uri }}\n"
        "To try the failed rows again: stylebatch retry {{ event.payload.run_uri }}"
    )
    return AutomationCore(
        name="stylebatch: a run with failed rows is told",
        description="Tells of a run that finished, but not with every row.",
        trigger=_each_run({FAILED_ROWS_EVENT}, [_OURS]),
        actions=[_tell(block, "stylebatch: rows failed in {{ event.payload.run }}", body)],
    )


def _tell_missing_nights(block: UUID) -> AutomationCore:
    """The check that is late itself says that no worker is at work."""
    subject = "stylebatch: no nightly run by now"
    return AutomationCore(
        name="stylebatch: a missing night is told",
        description="Tells of a night without a completed run by the hour of --expect-by.",
        trigger=_each_run({*_BROKEN, "prefect.flow-run.Late"}, [_OURS, _CHECK]),
        actions=[_tell(block, subject, _STATE)],
    )


def _each_run(events: frozenset[str] | set[str], related: list[Any]) -> EventTrigger:
    return EventTrigger(
        expect=set(events),
        match=_RUNS,
        match_related=related,
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
    )


def _tell(block: UUID, subject: str, body: str) -> SendNotification:
    return SendNotification(block_document_id=block, subject=subject, body=body)
