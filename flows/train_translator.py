"""Flow: train a translator from one kind of picture to another."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State

from stylecore.batch.uris import safe_stem
from stylecore.training.request import TrainTranslatorJob
from tasks.train_networks import clean, find_trained, follow_training, plan_training


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, TrainTranslatorJob) else TrainTranslatorJob.model_validate(job)
    kinds = " to ".join(safe_stem(uri.rstrip("/")) for uri in (job.from_uri, job.to_uri))
    return f"translator from {kinds}, seed {job.training.seed}"


@flow(name="train-translator", flow_run_name=_run_name)
def train_translator(job: TrainTranslatorJob) -> State[dict[str, Any]]:
    """Train a translator from one kind of picture to another, without pairs.

    Starting the same job again continues where it was; a finished one is left as it is.

    Args:
        job: from which kind of picture to which, to where, and how.
    """
    output_uri = plan_training(job)
    trained = find_trained(output_uri)
    if trained is not None:
        return trained
    clean(output_uri)
    return follow_training(output_uri, job.device)
