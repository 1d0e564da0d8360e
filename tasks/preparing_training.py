"""From a request to a training that can start. No Prefect and no torch: wrong requests come first.

What a training was asked for is written once. The same request goes on with it; another one on the
same output is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from stylecore.batch.faults import job_errors
from stylecore.batch.ledger import open_ledger, utc_now
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_folder, check_uri, is_s3
from stylecore.errors import JobError
from stylecore.images.codec import decode_image
from stylecore.training.request import (
    TrainGeneratorJob,
    TrainingJob,
    TrainRefinerJob,
    TrainTranslatorJob,
)
from tasks.input_files import read_input
from tasks.training_folder import TrainingFolder, TrainingRecord
from tasks.training_sources import INPUT_LIMITS, choose_pictures, list_pictures

_VERSIONS: Final = ("stylebatch", "prefect", "torch", "torchvision", "pillow", "s3fs")
_CHANGES_NAMED: Final = 4
_FOLDERS: Final = ("output", "content", "pictures", "from", "to")  # as far as a job has them


def prepare_training(store: Store, job: TrainingJob) -> TrainingFolder:
    """Record what is to be trained, unless that was done before.

    Raises:
        JobError: the request is wrong, or not the one that was started in this output before;
            nothing was written.
    """
    job = normalize_training(job)
    digests = tuple(_check_painting(store, uri) for uri in _paintings(job))
    store.check_writable(job.output_uri)
    folder = TrainingFolder(store, job.output_uri)
    with job_errors("output"):
        known = folder.find_record()
    if known is None:
        _check_sources(store, job)
        folder.write_record(_record(job, digests))
        known = folder.record  # somebody else's, if they were faster
    _refuse_another(folder, known, job, digests)
    return folder


def normalize_training(job: TrainingJob) -> TrainingJob:
    """The job with every URI whole and checked.

    Raises:
        JobError: naming the field that is wrong.
    """
    changes: dict[str, Any] = {}
    if not isinstance(job, TrainTranslatorJob):
        changes["styles"] = tuple(_whole_painting(uri) for uri in job.styles)
    for name in _FOLDERS:
        uri = getattr(job, f"{name}_uri", None)
        if uri is not None:
            with job_errors(name):
                changes[f"{name}_uri"] = check_folder(uri)
    job = job.model_copy(update=changes)
    if isinstance(job, TrainTranslatorJob):
        _refuse_overlap(job.from_uri, job.to_uri)
    return job


def _refuse_overlap(from_uri: str, to_uri: str) -> None:
    """Two kinds of pictures cannot be told apart where one folder is in the other."""
    if f"{from_uri}/".startswith(f"{to_uri}/") or f"{to_uri}/".startswith(f"{from_uri}/"):
        raise JobError(
            f"from: {from_uri} and to: {to_uri} share pictures: put each kind of picture into a "
            "folder of its own"
        )


def _paintings(job: TrainingJob) -> Sequence[str]:
    return () if isinstance(job, TrainTranslatorJob) else job.styles


def _whole_painting(uri: str) -> str:
    with job_errors("style"):
        return check_uri(absolute(uri))


def _check_painting(store: Store, uri: str) -> str:
    data = read_input(store, "style", uri, INPUT_LIMITS.max_bytes)
    with job_errors("style"):
        decode_image(data, uri, INPUT_LIMITS)
    return hashlib.sha256(data).hexdigest()


def _check_sources(store: Store, job: TrainingJob) -> None:
    if isinstance(job, TrainRefinerJob) and job.pictures_uri is not None:
        with job_errors("pictures"):
            choose_pictures(open_ledger(store, job.pictures_uri), job)
        return
    if isinstance(job, TrainTranslatorJob):
        _check_folder(store, job, "from", job.from_uri)
        _check_folder(store, job, "to", job.to_uri)
        return
    _check_folder(store, job, "content", str(job.content_uri))


def _check_folder(store: Store, job: TrainingJob, what: str, uri: str) -> None:
    store.check_reachable(uri, what)
    if not is_s3(uri) and not Path(uri).is_dir():
        raise JobError(f"{what}: {uri}: there is no such folder. Check the name.")
    with job_errors(what):
        if next(list_pictures(store, job, uri, besides=_paintings(job)), None) is None:
            raise JobError(f"{what}: {uri}: the folder is empty. Name one with photographs.")


def _record(job: TrainingJob, digests: tuple[str, ...]) -> TrainingRecord:
    return TrainingRecord(
        kind=_kind_of(job),
        created_at=utc_now(),
        versions={name: version(name) for name in _VERSIONS},
        style_digests=digests,
        job=job,
    )


def _kind_of(
    job: TrainingJob,
) -> Literal["refiner-training", "generator-training", "translator-training"]:
    if isinstance(job, TrainRefinerJob):
        return "refiner-training"
    return "generator-training" if isinstance(job, TrainGeneratorJob) else "translator-training"


def _refuse_another(
    folder: TrainingFolder, known: TrainingRecord, job: TrainingJob, digests: Sequence[str]
) -> None:
    before, now = _describe(known.job), _describe(job)
    changes = [
        f"{name} was {before[name]!r} and is {now[name]!r}"
        for name in now
        if before.get(name) != now[name]
    ]
    if not changes and tuple(digests) != known.style_digests:
        changes = ["a painting's file has changed"]
    if changes:
        more = len(changes) - _CHANGES_NAMED
        told = "; ".join(changes[:_CHANGES_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise JobError(
            f"{folder.output_uri}: another training was started here: {told[:600]}. Undo the "
            "change to go on with it, or name another output."
        )


def _describe(job: TrainingJob) -> dict[str, Any]:
    """What makes a training the same one, by dotted path; where it computes does not."""
    values = job.model_dump(mode="json", exclude={"device", "training"})
    settings = job.training.model_dump(mode="json")
    return {**values, **{f"training.{name}": value for name, value in settings.items()}}
