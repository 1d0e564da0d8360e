"""``deploy``: register the catalog with a Prefect server."""

from __future__ import annotations

from pathlib import Path

from deployments.console import say
from deployments.environment import check_server, prepare_prefect, server_url
from deployments.requests import build_job
from stylecore.errors import JobError
from tasks.preparing import normalize_job


def deploy_catalog(nightly: Path | None) -> None:
    """Register every deployment, and the work pool that runs them; doing it again updates them.

    Args:
        nightly: job file of the nightly run, or None to leave its schedule paused.

    Raises:
        JobError: no server is named, it does not answer, or the job file is wrong.
    """
    if server_url() is None:
        raise JobError(
            "deploy needs a Prefect server that stays: set PREFECT_API_URL, such as "
            "http://127.0.0.1:4200/api after `prefect server start`."
        )
    # A worker starts in a folder of its own, where a relative path would mean something else.
    job = normalize_job(build_job(nightly, {}, [])) if nightly else None
    check_server()
    prepare_prefect()

    from deployments.catalog import WORK_POOL, catalog

    _ensure_work_pool(WORK_POOL)
    for deployment in catalog(job):
        deployment.apply()
        state = "scheduled" if job else "paused: give --nightly JOB.yaml to schedule it"
        say(f"{deployment.flow_name}/{deployment.name}  {state}")
    say(f"start a worker with: prefect worker start --pool {WORK_POOL}")


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
