"""Deployments, schedules, limits and automations as things: wanted and registered look alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentScheduleUpdate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse, GlobalConcurrencyLimitResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events.schemas.automations import AutomationCore
from pydantic import BaseModel

from deployments.differences import Thing

_UNREGISTERED: Final = UUID(int=0)
_SAID_ALIKE: Final = (
    "description",
    "version",
    "tags",
    "parameters",
    "entrypoint",
    "work_pool_name",
    "job_variables",
    "enforce_parameter_schema",
)


def wanted_things(deployment: RunnerDeployment) -> Iterator[Thing]:
    """A deployment with its schedules and triggers."""
    name = deployment.full_name
    fields = deployment.model_dump(mode="json", include=set(_SAID_ALIKE))
    schema = deployment._parameter_openapi_schema.model_dump(exclude_unset=True)
    own = {
        "paused": False,
        "pull_steps": [],  # the entrypoint is a module of the installed package
        "concurrency_limit": deployment.concurrency_limit,
        "concurrency_options": _plain(deployment.concurrency_options),
        "parameter_openapi_schema": schema,
    }
    yield Thing("deployment", name, {**fields, **own})
    for one in deployment.schedules or []:
        yield schedule(name, one)
    for trigger in deployment.triggers:
        trigger.set_deployment_id(_UNREGISTERED)
        yield automation(trigger.as_automation(), {_UNREGISTERED: name}, owner=name)


def registered_deployment(name: str, found: DeploymentResponse) -> Thing:
    """The same of what the server has, without schedules."""
    limit = found.global_concurrency_limit
    own = {
        "paused": found.paused,
        "pull_steps": found.pull_steps or [],
        "concurrency_limit": None if limit is None else limit.limit,
        "concurrency_options": _plain(found.concurrency_options),
        "parameter_openapi_schema": found.parameter_openapi_schema,
    }
    return Thing(
        "deployment", name, {**found.model_dump(include=set(_SAID_ALIKE)), **own}, id=found.id
    )


def schedule(
    deployment: str,
    found: DeploymentSchedule | DeploymentScheduleCreate | DeploymentScheduleUpdate,
    id_: UUID | None = None,
) -> Thing:
    """A schedule, known by its times: another time is another schedule."""
    fields = {
        "schedule": _without_anchor(found.schedule),
        "active": found.active,
        "parameters": found.parameters,
        "slug": found.slug,
    }
    return Thing(
        "schedule",
        f"{deployment} {_times(found.schedule)}",
        fields,
        owner=deployment,
        id=id_,
    )


def _times(found: object) -> str:
    if isinstance(found, CronSchedule):
        return f"at {found.cron} {found.timezone or 'UTC'}"
    if isinstance(found, IntervalSchedule):
        return f"every {found.interval.total_seconds():g} s"
    return f"at {getattr(found, 'rrule', found)}"


def _without_anchor(found: BaseModel | None) -> Mapping[str, Any] | None:
    """An interval's anchor is the moment at which it was first described: of no interest."""
    return None if found is None else found.model_dump(exclude={"anchor_date"})


def limit(name: str, slots: int) -> Thing:
    """A host's devices; whoever takes one holds a lease, so that a dead holder's comes back."""
    # With a decay it would be a rate limit, which has no leases.
    fields = {"limit": slots, "active": True, "slot_decay_per_second": 0.0}
    return Thing("concurrency limit", name, fields, note=f"{slots} at once")


def registered_limit(found: GlobalConcurrencyLimitResponse) -> Thing:
    """The same of what the server has."""
    fields = found.model_dump(include={"limit", "active", "slot_decay_per_second"})
    return Thing("concurrency limit", found.name, fields, id=found.id)


def automation(
    found: AutomationCore,
    deployments: Mapping[UUID, str],
    id_: UUID | None = None,
    owner: str = "",
) -> Thing:
    """An automation, its deployments by their names, as far as they are known."""
    fields = found.model_dump(include={"description", "enabled", "trigger", "actions"})
    for action in fields["actions"]:
        deployment_id = action.get("deployment_id")
        if deployment_id in deployments:
            action["deployment_id"] = deployments[deployment_id]
    return Thing("automation", found.name, fields, owner=owner, id=id_)


def automation_core(thing: Thing, deployments: Mapping[str, UUID]) -> AutomationCore:
    """The automation of a thing, its deployments by their ids."""
    actions = [
        {**action, "deployment_id": deployments.get(action["deployment_id"])}
        if action.get("deployment_id")
        else action
        for action in thing.fields["actions"]
    ]
    return AutomationCore.model_validate({"name": thing.name, **thing.fields, "actions": actions})


def _plain(model: BaseModel | None) -> Mapping[str, Any] | None:
    return None if model is None else model.model_dump(mode="json", exclude_none=True)
