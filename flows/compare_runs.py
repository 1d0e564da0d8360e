"""Flow: compare two runs."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.run_names import run_name
from tasks.compare_pictures import compare_pictures
from tasks.score_shards import score_pictures


@flow(name="compare-runs", flow_run_name=run_name("compare {run_a_uri} with {run_b_uri}"))
def compare_runs(run_a_uri: str, run_b_uri: str, output_uri: str) -> State[dict[str, Any]]:
    """Measure two runs where that was not done, and compare them picture by picture.

    Args:
        run_a_uri: <output>/runs/<run id>, as `stylebatch run` prints it.
        run_b_uri: another run of the same photographs in styles of the same names.
        output_uri: folder for compare.json and for compare.html, the page to vote on.
    """
    for run_uri in (run_a_uri, run_b_uri):
        scored = score_pictures(run_uri)
        if not scored.is_completed():
            return scored
    result = compare_pictures(run_a_uri, run_b_uri, output_uri)
    return Completed(message=f"compared {result['pairs']} pairs", data=result)
