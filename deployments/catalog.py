"""Every deployment there is, as a list that one can read aloud. Contacts no server."""

from __future__ import annotations

from typing import Final, cast

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from deployments.nightly import Nightly
from flows.stylize_manifest import stylize_manifest
from flows.train_refiner import train_refiner

WORK_POOL: Final = "stylebatch"


def catalog(nightly: Nightly) -> list[RunnerDeployment]:
    """The deployments.

    Args:
        nightly: the job of the nightly run and its schedule, which is paused without a job.
    """
    schedule = Cron(
        nightly.cron,
        timezone=nightly.timezone,
        active=nightly.job is not None,
        parameters=nightly.schedule_parameters,
    )
    nightly_run = stylize_manifest.to_deployment(
        "nightly",
        description="Stylize a manifest or prefix every night; what is made is skipped.",
        schedules=[schedule],
        parameters=nightly.parameters,
        # While a run is still going, another one is not started, nor does it wait: it is canceled.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        tags=["stylebatch"],
        work_pool_name=WORK_POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    training = train_refiner.to_deployment(
        "on-demand",
        description="Train a refiner for a style; the same parameters go on after a stop.",
        tags=["stylebatch"],
        work_pool_name=WORK_POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # Coroutines only where there is an event loop.
    return [cast(RunnerDeployment, one) for one in (nightly_run, training)]
