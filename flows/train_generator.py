"""Flow: train a feed-forward generator for styles."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.uris import safe_stem
from stylecore.training.request import TrainGeneratorJob
from tasks.train_networks import clean, find_trained, follow_training, plan_training


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, TrainGeneratorJob) else TrainGeneratorJob.model_validate(job)
    return f"generator for {', '.join(map(safe_stem, job.styles[:3]))}, seed {job.training.seed}"


@flow(name="train-generator", flow_run_name=_run_name)
def train_generator(job: TrainGeneratorJob) -> State[dict[str, Any]]:
    """Train a feed-forward generator for one or several styles.

    Starting the same job again continues where it was; a finished one is left as it is.

    Args:
        job: for which paintings, from which photographs, to where, and how.
    """
    output_uri = plan_training(job)
    trained = find_trained(output_uri)
    if trained is not None:
        return trained
    clean(output_uri)
    return follow_training(output_uri, job.device)
