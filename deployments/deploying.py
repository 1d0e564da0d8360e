"""``deploy``: register the catalog with a Prefect server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.console import say
from deployments.environment import check_server, prepare_prefect, server_url
from deployments.nightly import Nightly
from deployments.requests import build_job
from stylecore.errors import JobError
from tasks.preparing import normalize_job


def deploy_catalog(job_file: Path | None, options: Mapping[str, Any]) -> None:
    """Register every deployment, and the work pool that runs them; doing it again updates them.

    Args:
        job_file: of the nightly run, or None to leave its schedule paused.
        options: fields of ``Nightly`` besides the job; None means not given.

    Raises:
        JobError: no server is named, it does not answer, or the job file or an option is wrong.
    """
    if server_url() is None:
        raise JobError(
            "deploy needs a Prefect server that stays: set PREFECT_API_URL, such as "
            "http://127.0.0.1:4200/api after `prefect server start`."
        )
    nightly = _read_nightly(job_file, options)
    check_server()
    prepare_prefect()
    nightly.check()

    from deployments.catalog import WORK_POOL, catalog

    _ensure_work_pool(WORK_POOL)
    for deployment in catalog(nightly):
        deployment.apply()
        when = nightly.state if deployment.schedules else "when somebody starts it"
        say(f"{deployment.flow_name}/{deployment.name}  {when}")
    say(f"start a worker with: prefect worker start --pool {WORK_POOL}")


def _read_nightly(job_file: Path | None, options: Mapping[str, Any]) -> Nightly:
    given = {name: value for name, value in options.items() if value is not None}
    if job_file is None:
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise JobError(f"{names}: for the nightly run; give its job too: --nightly JOB.yaml")
        return Nightly()
    # A worker starts in a folder of its own, where a relative path would mean something else.
    return Nightly(normalize_job(build_job(job_file, {}, [])), **given)


def _ensure_work_pool(name: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(
                WorkPoolCreate(name=name, type="process", base_job_template=template)
            )
        except ObjectAlreadyExists:
            return
