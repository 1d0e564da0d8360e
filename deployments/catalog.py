"""Every deployment there is, as a list that one can read aloud. Contacts no server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Final, cast

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Interval
from prefect.types.entrypoint import EntrypointType

from deployments.nightly import Nightly
from deployments.sweep_bell import DEPLOYMENT
from flows.check_nightly import check_nightly
from flows.compare_runs import compare_runs
from flows.retry_run import retry_run
from flows.score_run import score_run
from flows.stylize_manifest import stylize_manifest
from flows.stylize_shards import stylize_shards
from flows.stylize_uploads import stylize_uploads
from flows.train_arbitrary import train_arbitrary
from flows.train_generator import train_generator
from flows.train_refiner import train_refiner
from flows.train_translator import train_translator
from stylecore.batch.inbox import UploadsJob
from stylecore.config import StylizeJob
from tasks.child_runs import DEPLOYMENT as CHILD

WORK_POOL: Final = "stylebatch"
TAG: Final = "stylebatch"
UPLOAD_EVENT: Final = "stylebatch.upload"
UPLOAD_TRIGGER: Final = "stylebatch: an upload starts a sweep"
SWEEP_EVERY_S: Final = 60
# A dead run is told by heartbeats that stop, so they must come often wherever a worker runs.
HEARTBEATS: Final = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
_DEBOUNCE: Final = timedelta(seconds=30)
# While a run is still going, another one is not started, nor does it wait: it is canceled.
_ONE_AT_A_TIME: Final = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


@dataclass(frozen=True, slots=True)
class Occasions:
    """What starts by itself.

    Attributes:
        nightly: the job of every night, if there is one, and its schedule.
        uploads: the inbox to watch; None: none is.
    """

    nightly: Nightly = field(default_factory=Nightly)
    uploads: UploadsJob | None = None


SAMPLE_JOB: Final = {
    "manifest_uri": "s3://photographs/",
    "styles": [{"uri": "s3://paintings/great_wave.jpg"}],
    "output_uri": "s3://pictures/nightly",
    "limits": {"run_minutes": 300},
}
SAMPLE_UPLOADS: Final = {"inbox_uri": "s3://inbox", "output_uri": "s3://outbox"}
# Every deployment that there can be, for an inbox and a manifest that are yet to be named.
EVERYTHING: Final = Occasions(
    Nightly(StylizeJob.model_validate(SAMPLE_JOB), keep_days=90, expect_by="08:00"),
    UploadsJob.model_validate(SAMPLE_UPLOADS),
)


def catalog(occasions: Occasions) -> list[RunnerDeployment]:
    """The deployments: those of a schedule, those that a person starts, and those of other runs."""
    found = [nightly_deployment(occasions.nightly)]
    if occasions.nightly.expect_cron is not None:
        found.append(_check(occasions.nightly, occasions.nightly.expect_cron))
    if occasions.uploads is not None:
        found.append(uploads_deployment(occasions.uploads))
    return [*found, *_on_demand(), _child()]


def nightly_deployment(nightly: Nightly) -> RunnerDeployment:
    """The nightly run; without a job it has no schedule."""
    schedule = Cron(
        nightly.cron,
        timezone=nightly.timezone,
        parameters=nightly.habits,
        slug="nightly",
    )
    return _deploy(
        stylize_manifest,
        "nightly",
        "Stylize a manifest or prefix every night; what is made is skipped.",
        schedules=[] if nightly.job is None else [schedule],
        parameters=nightly.parameters,
        concurrency_limit=_ONE_AT_A_TIME,
    )


def _check(nightly: Nightly, cron: str) -> RunnerDeployment:
    return _deploy(
        check_nightly,
        "by-hour",
        "Fail if no run of the last planned night has completed by now, so that somebody is told.",
        schedules=[Cron(cron, timezone=nightly.timezone, slug="by-hour")],
    )


def uploads_deployment(job: UploadsJob) -> RunnerDeployment:
    """The sweep of an inbox: on a schedule, and whenever a notification asks for one.

    A sweep that is asked for while one is at work is cancelled rather than queued: the one at work
    looks again before it ends, and an hour of work would queue sixty that find nothing to do.
    Events of a burst within half a minute start one sweep, half a minute after the first.

    Args:
        job: which inbox, to where, and how.
    """
    trigger = DeploymentEventTrigger(
        name=UPLOAD_TRIGGER, expect={UPLOAD_EVENT}, within=_DEBOUNCE, schedule_after=_DEBOUNCE
    )
    return _deploy(
        stylize_uploads,
        DEPLOYMENT.partition("/")[2],
        "Stylize new uploads; what has a picture or a lasting failure is left alone.",
        schedules=[Interval(SWEEP_EVERY_S, slug="sweep")],
        parameters={"job": job.model_dump(mode="json")},
        concurrency_limit=_ONE_AT_A_TIME,
        triggers=[trigger],
    )


def _on_demand() -> list[RunnerDeployment]:
    described: list[tuple[Flow[..., Any], str]] = [
        (train_refiner, "Train a refiner for a style; the same parameters go on after a stop."),
        (train_generator, "Train a generator for styles; the same parameters go on after a stop."),
        (train_arbitrary, "Train a generator for any style; the same parameters go on."),
        (train_translator, "Train a translator between two kinds of pictures; the same goes on."),
        (retry_run, "Make the failed rows of a run again, and whatever it left undone."),
        (score_run, "Measure the pictures of a run; what is measured is not measured again."),
        (compare_runs, "Compare two runs picture by picture, and make a page to vote on."),
    ]
    return [_deploy(flow, "on-demand", text) for flow, text in described]


def _child() -> RunnerDeployment:
    name = CHILD.partition("/")[2]
    return _deploy(
        stylize_shards, name, "Work on a part of a large run; such runs start it by themselves."
    )


def _deploy(flow: Flow[..., Any], name: str, description: str, **more: Any) -> RunnerDeployment:
    made = flow.to_deployment(
        name,
        description=description,
        tags=[TAG],
        version=version("stylebatch"),
        work_pool_name=WORK_POOL,
        job_variables={"env": dict(HEARTBEATS)},
        entrypoint_type=EntrypointType.MODULE_PATH,
        **more,
    )
    return cast(RunnerDeployment, made)  # a coroutine only where there is an event loop
