"""Flow: measure the pictures of a run."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.run_names import run_name
from tasks.score_shards import score_pictures


@flow(name="score-run", flow_run_name=run_name("score {run_uri}"))
def score_run(run_uri: str) -> State[dict[str, Any]]:
    """Measure every picture that a run made, and sum up; what is measured is not measured again.

    Args:
        run_uri: <output>/runs/<run id>, as `stylebatch run` prints it.
    """
    return score_pictures(run_uri)
