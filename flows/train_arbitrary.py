"""Flow: train an arbitrary generator, which takes any painting as its style."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.uris import safe_stem
from stylecore.training.request import TrainArbitraryJob
from tasks.train_networks import clean, find_trained, follow_training, plan_training


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, TrainArbitraryJob) else TrainArbitraryJob.model_validate(job)
    return f"arbitrary from {safe_stem(job.styles_uri.rstrip('/'))}, seed {job.training.seed}"


@flow(name="train-arbitrary", flow_run_name=_run_name)
def train_arbitrary(job: TrainArbitraryJob) -> State[dict[str, Any]]:
    """Train a generator that takes any painting as its style.

    Starting the same job again continues where it was; a finished one is left as it is.

    Args:
        job: from which paintings and photographs, to where, and how.
    """
    output_uri = plan_training(job)
    trained = find_trained(output_uri)
    if trained is not None:
        return trained
    clean(output_uri)
    return follow_training(output_uri, job.device)
