"""Flow: stylize what was uploaded."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.inbox import UploadsJob
from tasks.sweep_inbox import sweep_inbox


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, UploadsJob) else UploadsJob.model_validate(job)
    return f"uploads in {job.inbox_uri}"


@flow(name="stylize-uploads", flow_run_name=_run_name)
def stylize_uploads(job: UploadsJob) -> State[dict[str, Any]]:
    """Stylize the photographs of an inbox that have neither a picture nor a lasting failure.

    What is left is decided from the names in the bucket alone: starting it again makes nothing
    twice, and an event that got lost costs nothing but time.

    Args:
        job: which inbox, to where, and how.
    """
    return sweep_inbox(job)
