"""Flow: try the failed rows of a run again."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.run_names import run_name
from tasks.run_shards import run_shards


@flow(name="retry-run", flow_run_name=run_name("retry {run_uri}"))
def retry_run(run_uri: str) -> State[dict[str, Any]]:
    """Make the rows of a run that failed, and whatever it left undone.

    Args:
        run_uri: <output>/runs/<run id>, as `stylebatch run` prints it.
    """
    return run_shards(run_uri, retry="failed")
