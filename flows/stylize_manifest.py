"""Flow: stylize every row of a manifest."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.uris import safe_stem
from stylecore.config import StylizeJob
from tasks.plan_run import plan_run
from tasks.run_shards import run_shards


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, StylizeJob) else StylizeJob.model_validate(job)
    styles = [safe_stem(style.uri) for style in job.styles]
    names = ", ".join(styles) if 0 < len(styles) <= 3 else f"{len(styles) or 'own'} styles"
    return f"{safe_stem(job.manifest_uri)} in {names}, {job.preset}"


@flow(name="stylize-manifest", flow_run_name=_run_name)
def stylize_manifest(job: StylizeJob) -> State[dict[str, Any]]:
    """Stylize every photograph of a manifest, or below a prefix, in every style of the job.

    Starting the same job again continues where it was, and makes nothing twice.

    Args:
        job: which photographs, in which styles, to where, and how.
    """
    run_uri = plan_run(job)
    return run_shards(run_uri, device=job.device)
