"""The catalog as a ``prefect.yaml``: ``python -m deployments.prefect_yaml`` writes it to stdout."""

from __future__ import annotations

import sys
from typing import Any, Final

import yaml
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger

from deployments.catalog import EVERYTHING, SAMPLE_JOB, SAMPLE_UPLOADS, WORK_POOL, catalog

_HEADER: Final = f"""\
# The deployments of stylebatch for those who use the Prefect CLI. Written by `make prefect-yaml`
# from deployments/catalog.py, which `stylebatch deploy` registers as well.
#
#   prefect work-pool create {WORK_POOL} --type process
#   prefect --no-prompt deploy --prefect-file deployments/prefect.yaml --all
#
# Change a copy: manifest, styles, inbox, outputs, hours and time zones are samples, and what is not
# wanted is left out. Nothing is pulled: entrypoints are modules of the installed package, so name
# inputs and outputs by URI or by whole paths. What this file cannot say are the limits gpu:<host>
# and the automations that mark dead runs and tell of failures: `stylebatch deploy` makes them.
"""
# Without the defaults: what a person changes in a copy is not contradicted by what they left.
_JOBS: Final = {"stylize-manifest": SAMPLE_JOB, "stylize-uploads": SAMPLE_UPLOADS}


def render_prefect_yaml() -> str:
    """The whole file."""
    found = [_deployment(one) for one in catalog(EVERYTHING)]
    body = yaml.safe_dump(
        {"name": "stylebatch", "pull": [], "deployments": found},
        sort_keys=False,
        width=100,
    )
    return f"{_HEADER}{body}"


def _deployment(deployment: RunnerDeployment) -> dict[str, Any]:
    job = _JOBS.get(str(deployment.flow_name))
    described = {
        "name": deployment.name,
        "version": deployment.version,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "entrypoint": deployment.entrypoint,
        "work_pool": {
            "name": deployment.work_pool_name,
            "job_variables": deployment.job_variables,
        },
        "parameters": {} if job is None else {"job": job},
        "schedules": [_schedule(one) for one in deployment.schedules or []],
        "concurrency_limit": _concurrency(deployment),
        "triggers": [_trigger(one) for one in deployment.triggers],
    }
    return {name: value for name, value in described.items() if value}


def _schedule(found: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"slug": found.slug}
    if isinstance(found.schedule, CronSchedule):
        described |= {"cron": found.schedule.cron, "timezone": found.schedule.timezone}
    elif isinstance(found.schedule, IntervalSchedule):
        described |= {"interval": int(found.schedule.interval.total_seconds())}
    return described | ({"parameters": found.parameters} if found.parameters else {})


def _concurrency(deployment: RunnerDeployment) -> dict[str, Any] | None:
    options = deployment.concurrency_options
    if options is None:
        return None
    strategy = str(options.collision_strategy.value)
    return {"limit": deployment.concurrency_limit, "collision_strategy": strategy}


def _trigger(found: Any) -> dict[str, Any]:
    if not isinstance(found, DeploymentEventTrigger):
        raise TypeError(f"{type(found).__name__}: only triggers by events are written so far")
    return {
        "name": found.name,
        "type": "event",
        "expect": sorted(found.expect),
        "within": int(found.within.total_seconds()),
        "schedule_after": int(found.schedule_after.total_seconds()),
    }


if __name__ == "__main__":
    sys.stdout.write(render_prefect_yaml())
