"""Flow: train a refiner for a style."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.uris import safe_stem
from stylecore.training.request import TrainRefinerJob
from tasks.train_networks import clean, find_trained, follow_training, make_pictures, plan_training


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, TrainRefinerJob) else TrainRefinerJob.model_validate(job)
    return f"refiner for {', '.join(map(safe_stem, job.styles[:3]))}, seed {job.training.seed}"


@flow(name="train-refiner", flow_run_name=_run_name)
def train_refiner(job: TrainRefinerJob) -> State[dict[str, Any]]:
    """Train a refiner for a style, on pictures in it that were or are made.

    Starting the same job again continues where it was; a finished one is left as it is.

    Args:
        job: for which paintings, from which pictures, to where, and how.
    """
    output_uri = plan_training(job)
    trained = find_trained(output_uri)
    if trained is not None:
        return trained
    clean(output_uri)
    pictures = make_pictures(output_uri, job.device)
    if not pictures.is_completed():
        return pictures
    return follow_training(output_uri, job.device, pictures.result()["run_uri"])
