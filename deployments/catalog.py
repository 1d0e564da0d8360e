"""Every deployment there is, as a list that one can read aloud. Contacts no server."""

from __future__ import annotations

from typing import Final, cast

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.stylize_manifest import stylize_manifest
from stylecore.config import StylizeJob

WORK_POOL: Final = "stylebatch"
NIGHTLY_CRON: Final = "0 2 * * *"


def catalog(nightly: StylizeJob | None) -> list[RunnerDeployment]:
    """The deployments.

    Args:
        nightly: the job of the nightly run; without one its schedule is there, but paused.
    """
    nightly_run = stylize_manifest.to_deployment(
        "nightly",
        description="Stylize a manifest or prefix every night; what is made is skipped.",
        schedules=[Cron(NIGHTLY_CRON, timezone="UTC", active=nightly is not None)],
        parameters={"job": nightly.model_dump(mode="json")} if nightly else {},
        # A run that is still going is not started again.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        tags=["stylebatch"],
        work_pool_name=WORK_POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # A coroutine only where there is an event loop.
    return [cast(RunnerDeployment, nightly_run)]
