"""What a Prefect server keeps of ours: read as things, and changed one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.exceptions import ObjectNotFound

from deployments import describing
from deployments.differences import Change, Thing


class Registry:
    """The things of ours on a server.

    Args:
        client: of the server.
        known: names of everything that may be ours, of each kind: what else is there is left
            alone.
    """

    def __init__(self, client: SyncPrefectClient, known: Collection[Thing]) -> None:
        self._client = client
        self._known = known
        self._deployments: dict[str, UUID] = {}

    def read(self) -> list[Thing]:
        """Everything of ours that is registered."""
        return [*self._pools(), *self._read_deployments(), *self._limits(), *self._automations()]

    def apply(self, change: Change) -> None:
        """Make one thing as it is wanted; the changes of what it belongs to come first."""
        if change.verb == "unchanged":
            return
        act = {
            "work pool": self._apply_pool,
            "deployment": self._apply_deployment,
            "schedule": self._apply_schedule,
            "concurrency limit": self._apply_limit,
            "automation": self._apply_automation,
        }[change.thing.kind]
        act(change)

    def _names(self, kind: str) -> list[str]:
        return [thing.name for thing in self._known if thing.kind == kind]

    def _pools(self) -> Iterator[Thing]:
        for name in self._names("work pool"):
            try:
                pool = self._client.read_work_pool(name)
            except ObjectNotFound:
                continue
            yield Thing("work pool", name, id=pool.id)

    def _read_deployments(self) -> Iterator[Thing]:
        for name in self._names("deployment"):
            try:
                found = self._client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            self._deployments[name] = found.id
            yield describing.registered_deployment(name, found)
            yield from self._schedules(name, found)

    def _schedules(self, name: str, deployment: DeploymentResponse) -> Iterator[Thing]:
        for schedule in deployment.schedules:
            yield describing.schedule(name, schedule, schedule.id)

    def _limits(self) -> Iterator[Thing]:
        for name in self._names("concurrency limit"):
            try:
                found = self._client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                continue
            yield describing.registered_limit(found)

    def _automations(self) -> Iterator[Thing]:
        names = {id_: name for name, id_ in self._deployments.items()}
        ours = AutomationFilter(name=AutomationFilterName(any_=self._names("automation")))
        for found in self._client.read_automations(automations=ours):
            yield describing.automation(found, names, found.id)

    def _apply_pool(self, change: Change) -> None:
        from prefect.workers.process import ProcessWorker

        template = ProcessWorker.get_default_base_job_template()
        self._client.create_work_pool(
            WorkPoolCreate(name=change.thing.name, type="process", base_job_template=template)
        )

    def _apply_deployment(self, change: Change) -> None:
        name, fields = change.thing.name, change.thing.fields
        if change.id is None:
            flow_name, _, own_name = name.partition("/")
            flow_id = self._client.create_flow_from_name(flow_name)
            made = self._client.create_deployment(flow_id, own_name, **fields)
            self._deployments[name] = made
        elif change.verb == "removed":
            self._client.delete_deployment(change.id)
        else:
            differing = {field: fields[field] for field in change.fields}
            self._client.update_deployment(change.id, DeploymentUpdate(**differing))

    def _apply_schedule(self, change: Change) -> None:
        deployment_id, fields = self._deployments[change.thing.owner], change.thing.fields
        if change.id is None:
            created = DeploymentScheduleCreate(**fields)
            self._client.create_deployment_schedules(deployment_id, [created])
        elif change.verb == "removed":
            self._client.delete_deployment_schedule(deployment_id, change.id)
        else:
            differing = {field: fields[field] for field in change.fields}
            self._client.update_deployment_schedule(deployment_id, change.id, **differing)

    def _apply_limit(self, change: Change) -> None:
        name, fields = change.thing.name, change.thing.fields
        if change.id is None:
            created = GlobalConcurrencyLimitCreate(name=name, **fields)
            self._client.create_global_concurrency_limit(created)
        else:
            update = GlobalConcurrencyLimitUpdate(**fields)
            self._client.update_global_concurrency_limit(name, update)

    def _apply_automation(self, change: Change) -> None:
        if change.verb == "removed" and change.id is not None:
            self._client.delete_automation(change.id)
            return
        wanted = describing.automation_core(change.thing, self._deployments)
        if change.id is not None:
            self._client.update_automation(change.id, wanted)
            return
        owner = self._deployments.get(change.thing.owner)
        if owner is not None:
            wanted = wanted.model_copy(update={"owner_resource": f"prefect.deployment.{owner}"})
        self._client.create_automation(wanted)
