"""From what is wanted to what is registered: the one way in which a server is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.deployments.runner import RunnerDeployment

from deployments import describing
from deployments.alerts import automations
from deployments.catalog import EVERYTHING, catalog
from deployments.differences import Change, Thing, compare
from deployments.registry import Registry

LIMIT_PREFIX: Final = "gpu:"
_ANY_BLOCK: Final = UUID(int=0)
# Owners before what they own; what is removed goes first, and the other way round.
_ORDER: Final = ("work pool", "concurrency limit", "deployment", "schedule", "automation")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What there shall be on a server.

    Attributes:
        deployments: all of ours.
        gpus: devices by host; limits of other hosts are theirs, and left alone.
        notify_block: whom automations tell; None: nobody.
    """

    deployments: Sequence[RunnerDeployment]
    gpus: Mapping[str, int]
    notify_block: UUID | None = None

    def things(self) -> Iterator[Thing]:
        """All of it."""
        pools = {one.work_pool_name for one in self.deployments}
        yield from (Thing("work pool", name) for name in pools if name is not None)
        for host, slots in self.gpus.items():
            yield describing.limit(f"{LIMIT_PREFIX}{host}", slots)
        for deployment in self.deployments:
            yield from describing.wanted_things(deployment)
        expects_nights = any(one.flow_name == "check-nightly" for one in self.deployments)
        for found in automations(self.notify_block, expects_nights=expects_nights):
            yield describing.automation(found, {})


def reconcile(client: SyncPrefectClient, wanted: Wanted, *, is_dry_run: bool) -> list[Change]:
    """Change what differs, and nothing else.

    Args:
        client: of the server.
        wanted: what there shall be.
        is_dry_run: only look.

    Returns:
        What became, or would become, of each thing.
    """
    registry = Registry(client, _known(wanted))
    changes = compare(wanted.things(), registry.read())
    if not is_dry_run:
        for change in sorted(changes, key=_turn):
            registry.apply(change)
    return changes


def _known(wanted: Wanted) -> list[Thing]:
    """Everything that may be ours, whatever was wanted before."""
    everything = Wanted(catalog(EVERYTHING), wanted.gpus, _ANY_BLOCK).things()
    # A pool that is not wanted may be somebody's: it is never removed.
    pools = [thing for thing in wanted.things() if thing.kind == "work pool"]
    return [*pools, *(thing for thing in everything if thing.kind != "work pool")]


def _turn(change: Change) -> int:
    place = _ORDER.index(change.thing.kind)
    return -place - 1 if change.verb == "removed" else place
