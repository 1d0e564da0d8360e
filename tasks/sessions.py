"""Names of attempts: what a stop flag, a listing of pictures or a count of progress belongs to."""

from __future__ import annotations

from prefect import runtime


def name_session(work: str) -> str:
    """The name of this attempt of the flow run that asks; another attempt has another.

    Args:
        work: which work of the flow run, such as a run's id.
    """
    return f"{runtime.flow_run.id}/{runtime.flow_run.run_count}/{work}"
