"""From a request to a training that can start. No Prefect and no torch: wrong requests come first.

What a training was asked for is written once. The same request goes on with it; another one on the
same output is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from stylecore.batch.faults import job_errors
from stylecore.batch.ledger import open_ledger, utc_now
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_folder, check_uri, is_s3
from stylecore.errors import JobError
from stylecore.images.codec import decode_image
from stylecore.training.request import (
    TrainArbitraryJob,
    TrainGeneratorJob,
    TrainingJob,
    TrainRefinerJob,
    TrainTranslatorJob,
)
from tasks.input_files import read_input
from tasks.training_folder import TrainingFolder, TrainingKind, TrainingRecord
from tasks.training_sources import (
    INPUT_LIMITS,
    choose_pictures,
    find_paintings,
    find_photographs,
    list_folder,
)

_VERSIONS: Final = ("stylebatch", "prefect", "torch", "torchvision", "pillow", "s3fs")
_CHANGES_NAMED: Final = 4
_KINDS: Final[Mapping[type[TrainingJob], TrainingKind]] = {
    TrainRefinerJob: "refiner-training",
    TrainGeneratorJob: "generator-training",
    TrainArbitraryJob: "arbitrary-training",
    TrainTranslatorJob: "translator-training",
}
_FOLDERS: Final = ("output", "content", "pictures", "styles", "from", "to")  # that jobs can have
_NAMED: Final = {"content": "photographs", "styles": "paintings"}


def prepare_training(store: Store, job: TrainingJob) -> TrainingFolder:
    """Record what is to be trained, unless that was done before.

    Raises:
        JobError: the request is wrong, or not the one that was started in this output before;
            nothing was written.
    """
    job = normalize_training(job)
    digests = tuple(_check_painting(store, uri) for uri in job.styles)
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
    if job.styles:
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
        for what, uri in (("from", job.from_uri), ("to", job.to_uri)):
            _check_folder(store, what, uri, list_folder(store, uri, job.output_uri))
        return
    _check_folder(store, "content", str(job.content_uri), find_photographs(store, job))
    if isinstance(job, TrainArbitraryJob):
        _check_folder(store, "styles", job.styles_uri, find_paintings(store, job))


def _check_folder(store: Store, what: str, uri: str, found: Iterator[str]) -> None:
    store.check_reachable(uri, what)
    if not is_s3(uri) and not Path(uri).is_dir():
        raise JobError(f"{what}: {uri}: there is no such folder. Check the name.")
    with job_errors(what):
        if next(found, None) is None:
            pictures = _NAMED.get(what, "pictures")
            raise JobError(f"{what}: {uri}: the folder is empty. Name one with {pictures}.")


def _record(job: TrainingJob, digests: tuple[str, ...]) -> TrainingRecord:
    return TrainingRecord(
        kind=_KINDS[type(job)],
        created_at=utc_now(),
        versions={name: version(name) for name in _VERSIONS},
        style_digests=digests,
        job=job,
    )


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
