"""Tasks: prepare a training, clean its photographs, make its pictures, train on them."""

from __future__ import annotations

import json
from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from stylecore.batch.estimate import evaluations_each
from stylecore.config import StyleSource, StylizeJob
from stylecore.errors import StylebatchError
from stylecore.training.request import TrainArbitraryJob, TrainingJob, TrainRefinerJob
from tasks.engines import Place
from tasks.plan_run import plan_run
from tasks.preparing_training import prepare_training
from tasks.publish_training import TrainingPublisher, publish_interim
from tasks.retrying import is_worth_a_retry
from tasks.run_shards import run_shards
from tasks.sessions import name_session
from tasks.stopping import stop_flag
from tasks.storage import open_run, store
from tasks.training_folder import TrainingFolder, describe_card
from tasks.training_sources import clean_paintings, clean_photographs
from tasks.training_stage import STAGES, Stage

_LOOK_EVERY_S: Final = 5
_Card = dict[str, Any]


@task(name="plan training", cache_policy=NO_CACHE)
def plan_training(job: TrainingJob) -> str:
    """Record what to train; safe to retry, since it finds the same record again."""
    return prepare_training(store(), job).output_uri


@task(
    name="clean photographs",
    retries=2,
    retry_delay_seconds=[5, 60],
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
)
def clean(output_uri: str) -> str:
    """Drop what is not fit to train on; safe to retry, for what was found is written last."""
    folder = TrainingFolder(store(), output_uri)
    line = clean_photographs(folder).line()
    job = folder.record.job
    if isinstance(job, TrainArbitraryJob):
        line = f"{line}; {clean_paintings(folder, job).line('painting')}"
    get_run_logger().info("%s", line)
    return line


def make_pictures(output_uri: str, device: str) -> State[dict[str, Any]]:
    """Stylize the photographs that are fit, by an ordinary run, unless a run was named.

    Returns:
        Completed with ``run_uri``, also where single rows failed.
    """
    folder = TrainingFolder(store(), output_uri)
    job = folder.record.job
    if not isinstance(job, TrainRefinerJob):
        raise AssertionError(f"{output_uri}: a {folder.record.network} learns from no pictures")
    if job.pictures_uri is not None:
        return Completed(data={"run_uri": job.pictures_uri})
    run_uri = plan_run(pictures_job(folder, job, device))
    run = open_run(run_uri)
    todo = sum(run.record.shards[number].rows for number in run.pending_shards())
    each = evaluations_each(run.record.job)
    STAGES.post(output_uri, Stage("stylizing", todo, run_uri=run_uri, evaluations_each=each))
    return run_shards(run_uri, place=Place(device))


def pictures_job(folder: TrainingFolder, job: TrainRefinerJob, device: str) -> StylizeJob:
    """The ordinary job that stylizes the photographs of a training; writes its manifest."""
    cleaning = folder.find_cleaning()
    kept = cleaning.kept if cleaning is not None else ()
    manifest_uri = folder.uri("photographs.jsonl")
    lines = "".join(json.dumps({"content_uri": uri}) + "\n" for uri in kept)
    folder.store.write_bytes(manifest_uri, lines.encode())
    return StylizeJob(
        manifest_uri=manifest_uri,
        styles=tuple(StyleSource(uri=uri) for uri in job.styles),
        output_uri=folder.uri("pictures"),
        preset=job.preset,
        max_side_px=job.max_side_px,
        allow=(str(job.content_uri),),
        device=device,
    )


@task(
    name="train",
    task_run_name="train {output_uri}",
    retries=2,
    retry_delay_seconds=[5, 60],
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
)
def train_network(output_uri: str, run_uri: str | None, device: str, session: str) -> _Card:
    """Train what was asked for; safe to retry, for it goes on from its checkpoint.

    Args:
        output_uri: of a training whose photographs are cleaned.
        run_uri: of the run that made the pictures to learn from, for what needs them.
        device: where to compute.
        session: names the flow run's attempt; its stop flag ends the work.
    """
    from tasks.training import TrainingRequest, train_to_the_end

    folder = TrainingFolder(store(), output_uri)
    return train_to_the_end(
        folder,
        run_uri,
        TrainingRequest(device, session),
        lambda interim: publish_interim(folder, interim),
    )


def follow_training(output_uri: str, device: str, run_uri: str | None = None) -> State[_Card]:
    """Train inside a flow run and show how far it is.

    However this ends, no thread computes on, and a training that is not finished has left its
    checkpoint.

    Returns:
        Completed with what ``card.json`` says, or Failed with the reason.
    """
    session = name_session("training")
    folder = TrainingFolder(store(), output_uri)
    num_steps = folder.record.job.training.num_steps
    STAGES.post(output_uri, Stage("training", num_steps, text="reading the pictures"))
    publisher = TrainingPublisher(folder)
    future = train_network.submit(output_uri, run_uri, device, session)
    try:
        while not _is_over(future):
            publisher.publish()
    finally:
        stop_flag(session).set()
        wait([future])
    publisher.publish(is_last=True)
    error = future.state.result(raise_on_failure=False)
    if isinstance(error, StylebatchError):
        return Failed(message=str(error))  # without Prefect's words around it
    found = find_trained(output_uri)
    return future.state if found is None else found


def find_trained(output_uri: str) -> State[_Card] | None:
    """Completed with what ``card.json`` says, where the training is finished."""
    card = TrainingFolder(store(), output_uri).find_card()
    return None if card is None else Completed(message=describe_card(card), data=card)


def _is_over(future: PrefectFuture[_Card]) -> bool:
    return bool(wait([future], timeout=_LOOK_EVERY_S).done)
