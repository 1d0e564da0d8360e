"""Made pictures and their photographs, read again from the bucket as pairs to train on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from stylecore.batch.faults import job_errors
from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.store import Store
from stylecore.errors import JobError, RowError
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.resize import resize_content
from stylecore.images.tensors import MINIMUM_SIDE_PX
from stylecore.training.data import PicturePair
from stylecore.training.request import TrainRefinerJob
from tasks.reading import OUTPUT_LIMITS, read_ahead
from tasks.training_sources import INPUT_LIMITS, choose_pictures


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture that cannot be trained on, and why."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, named by their pictures' URIs, and what is left out."""

    pairs: list[PicturePair] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_pairs(run: RunLedger, job: TrainRefinerJob, photographs: Collection[str]) -> Pairs:
    """The pictures of a run in the style to learn, each with its photograph at the same size.

    Args:
        run: that made the pictures.
        job: what to train.
        photographs: that are fit to train on.

    Raises:
        JobError: there are none.
        RowError: the store failed in a way that may pass.
    """
    fit = set(photographs)
    chosen = [one for one in choose_pictures(run, job) if one.content_uri in fit]
    found = Pairs()
    for one in read_ahead(lambda outcome: _read_pair(run.store, outcome), chosen):
        if isinstance(one, PicturePair):
            found.pairs.append(one)
        else:
            found.left_out.append(one)
    if not found.pairs:
        first = f": {found.left_out[0].uri}: {found.left_out[0].reason}" if found.left_out else ""
        raise JobError(f"{run.run_uri}: none of its pictures can be trained on{first}")
    return found


def read_paintings(store: Store, uris: Sequence[str]) -> list[RgbImage]:
    """The paintings, each of shape (h, w, 3).

    Raises:
        JobError: one cannot be read any more.
    """
    with job_errors("style"):
        return [_read_picture(store, uri)[0] for uri in uris]


def _read_pair(store: Store, outcome: Outcome) -> PicturePair | LeftOut:
    uri = outcome.output_uri or ""
    try:
        data, _ = store.read_bytes(uri, OUTPUT_LIMITS.max_bytes)
        picture = decode_image(data, uri, OUTPUT_LIMITS)
        content, version = _read_picture(store, outcome.content_uri)
    except RowError as error:
        if error.is_passing:
            raise
        return LeftOut(uri, str(error))
    if outcome.content_version not in (None, version):
        return LeftOut(uri, f"{outcome.content_uri}: changed after the picture was made")
    return _pair_up(uri, picture, content)


def _pair_up(uri: str, picture: RgbImage, content: RgbImage) -> PicturePair | LeftOut:
    height, width, _ = picture.shape
    content = resize_content(content, max(height, width))
    if content.shape != picture.shape:
        own = f"{content.shape[1]} x {content.shape[0]}"
        return LeftOut(uri, f"{width} x {height} px, and its photograph would be {own} px")
    if min(height, width) < MINIMUM_SIDE_PX:
        return LeftOut(uri, f"{width} x {height} px, a side under {MINIMUM_SIDE_PX} px")
    return PicturePair(uri, picture, content)


def _read_picture(store: Store, uri: str) -> tuple[RgbImage, str]:
    data, version = store.read_bytes(uri, INPUT_LIMITS.max_bytes)
    return decode_image(data, uri, INPUT_LIMITS), version
