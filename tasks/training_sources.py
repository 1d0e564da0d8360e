"""What a network may learn from: photographs below a folder, or pictures that a run made.

No torch here: wrong requests are answered before it loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.outcome import Outcome
from stylecore.batch.store import Store
from stylecore.config import Limits
from stylecore.errors import JobError, RowError
from stylecore.images.limits import DecodeLimits
from stylecore.training.cleaning import Dropped, clean_pictures
from stylecore.training.request import (
    TrainArbitraryJob,
    TrainingJob,
    TrainRefinerJob,
    TrainTranslatorJob,
)
from tasks.reading import read_ahead
from tasks.training_folder import CleaningReport, DroppedPhotograph, TrainingFolder
from tasks.training_stage import STAGES, Stage

INPUT_LIMITS: Final = DecodeLimits(Limits().max_bytes, Limits().max_pixels)
_THUMBNAIL_PX: Final = 64  # of the photographs, only the names are kept
_STYLES_NAMED: Final = 5


def find_photographs(store: Store, job: TrainingJob) -> Iterator[str]:
    """URIs of the photographs to learn from, each once, before any cleaning.

    Raises:
        JobError: the named run is not there, or has no pictures that fit.
        RowError: the folder cannot be listed.
    """
    if isinstance(job, TrainRefinerJob) and job.pictures_uri is not None:
        pictures = choose_pictures(open_ledger(store, job.pictures_uri), job)
        yield from dict.fromkeys(picture.content_uri for picture in pictures)
        return
    if isinstance(job, TrainTranslatorJob):
        yield from list_folder(store, job.from_uri, job.output_uri)
        yield from list_folder(store, job.to_uri, job.output_uri)
        return
    for uri in list_folder(store, str(job.content_uri), job.output_uri):
        if uri not in job.styles:
            yield uri


def find_paintings(store: Store, job: TrainArbitraryJob) -> Iterator[str]:
    """URIs of the paintings to learn from, before any cleaning.

    Raises:
        RowError: the folder cannot be listed.
    """
    return list_folder(store, job.styles_uri, job.output_uri)


def list_folder(store: Store, folder_uri: str, output_uri: str) -> Iterator[str]:
    """URIs of what is below a folder, but for what a training writes to its output there.

    Raises:
        RowError: the folder cannot be listed.
    """
    for info in store.list_objects(f"{folder_uri}/"):
        if not info.uri.startswith(f"{output_uri}/"):
            # A local name that is not UTF-8 comes with surrogates, which no JSON takes.
            yield info.uri.encode("utf-8", "backslashreplace").decode()


def choose_pictures(run: RunLedger, job: TrainRefinerJob) -> list[Outcome]:
    """The pictures of a run that are in the style to learn, in an order that does not change.

    A run of one style is in that style, wherever its painting is. Pictures that were there before
    the run count, too. Where a folder of photographs is named, theirs only.

    Raises:
        JobError: there are none.
    """
    named = None if len(run.record.styles) == 1 else {*job.styles}
    there = [outcome for outcome in run.outcomes() if outcome.output_uri is not None]
    chosen = [
        outcome
        for outcome in there
        if (named is None or outcome.style_uri in named) and _is_below(outcome, job)
    ]
    if not chosen:
        raise JobError(_explain_nothing(run, job, there))
    return sorted(chosen, key=lambda outcome: (outcome.content_uri, outcome.style, outcome.row_id))


def _is_below(outcome: Outcome, job: TrainRefinerJob) -> bool:
    is_made_here = job.pictures_uri is None  # then the cleaning has chosen already
    return (
        is_made_here
        or job.content_uri is None
        or outcome.content_uri.startswith(f"{job.content_uri}/")
    )


def _explain_nothing(run: RunLedger, job: TrainRefinerJob, there: Sequence[Outcome]) -> str:
    if not there:
        return f"{run.run_uri}: the run has no pictures to learn from. Finish it first."
    styles = list(dict.fromkeys(outcome.style_uri for outcome in there))
    more = f" and {len(styles) - _STYLES_NAMED} more" if len(styles) > _STYLES_NAMED else ""
    where = f" of photographs below {job.content_uri}" if job.content_uri else ""
    return (
        f"{run.run_uri}: the run has no pictures in {', '.join(job.styles)}{where}. "
        f"It has {len(there)} in {', '.join(styles[:_STYLES_NAMED])}{more}."
    )


@dataclass(frozen=True, slots=True)
class _File:
    """A photograph's bytes, or why they cannot be read."""

    uri: str
    data: bytes = b""
    flaw: str | None = None


def clean_photographs(folder: TrainingFolder) -> CleaningReport:
    """Find out which photographs are fit to train on, unless that is known.

    Once known it stays: photographs that come later change nothing in a training that goes on.

    Returns:
        What ``cleaning.json`` says.

    Raises:
        JobError: none is fit.
        RowError: the store failed in a way that may pass.
    """
    known = folder.find_cleaning()
    if known is not None and known.kept:
        return known
    report = _clean(folder, list(find_photographs(folder.store, folder.record.job)))
    folder.write_cleaning(report)
    _refuse_nothing(report, "photograph", folder.uri("cleaning.json"))
    return report


def clean_paintings(folder: TrainingFolder, job: TrainArbitraryJob) -> CleaningReport:
    """Find out which paintings of a folder are fit to train on, as with photographs.

    Returns:
        What ``paintings.json`` says.

    Raises:
        JobError: none is fit.
        RowError: the store failed in a way that may pass.
    """
    known = folder.find_paintings()
    if known is not None and known.kept:
        return known
    report = _clean(folder, list(find_paintings(folder.store, job)))
    folder.write_paintings(report)
    _refuse_nothing(report, "painting", folder.uri("paintings.json"))
    return report


def _refuse_nothing(report: CleaningReport, what: str, where: str) -> None:
    if not report.kept:
        raise JobError(f"no {what} is fit to train on: {report.line(what)}. {where} says why")


def _clean(folder: TrainingFolder, uris: Sequence[str]) -> CleaningReport:
    unread: list[Dropped] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for number, file in enumerate(read_ahead(lambda uri: _read(folder.store, uri), uris)):
            STAGES.post(folder.output_uri, Stage("cleaning", len(uris), number))
            if file.flaw is None:
                yield file.uri, file.data
            else:
                unread.append(Dropped(file.uri, "broken", file.flaw))

    cleaning = clean_pictures(files(), INPUT_LIMITS, _THUMBNAIL_PX)
    counts = cleaning.count_by_reason()
    counts["broken"] += len(unread)
    return CleaningReport(
        photographs=len(uris),
        dropped_by_reason=counts,
        dropped=tuple(
            DroppedPhotograph(uri=one.name, reason=one.reason, detail=one.detail)
            for one in (*unread, *cleaning.dropped)
        ),
        kept=tuple(one.name for one in cleaning.kept),
    )


def _read(store: Store, uri: str) -> _File:
    try:
        return _File(uri, store.read_bytes(uri, INPUT_LIMITS.max_bytes)[0])
    except RowError as error:
        if error.is_passing:
            raise
        return _File(uri, flaw=error.reason)
