"""Makes every picture of a shard: readers ahead, one device, writers behind.

Retry-safe: pictures that exist are found by name, and the shard's results are written last and
once. One bad row becomes a failed outcome; a fault of the run itself propagates. A claim keeps
other processes from the shard meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final, Literal

from stylecore.batch.claims import Claim, claim_shard
from stylecore.batch.ledger import RunLedger, Shard
from stylecore.batch.outcome import Outcome
from stylecore.batch.uris import join_uri
from stylecore.errors import InternalError, JobError, OutOfMemoryError, RowError, RunStoppedError
from stylecore.images.codec import RgbImage, decode_image, encode_image
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, Stylized
from tasks.devices import uses_gpu
from tasks.leaving import Budget, Leave
from tasks.painting import Painter, load_style, open_painter
from tasks.progress import BOARD, Tally, tally_outcomes
from tasks.reading import OUTPUT_LIMITS, AlreadyThere, ContentReader, Reading, read_ahead
from tasks.server_limit import server_slot
from tasks.shard_book import ShardBook, refinement_figures, score_figures
from tasks.stopping import heeding_stop_signs

_WRITERS: Final = 2
_UNWRITTEN: Final = 4
_CONTENT_TYPES: Final = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
Retry = Literal["no", "passing", "failed"]
# Which outcomes are worth another attempt.
RETRIED: Final[Mapping[Retry, Callable[[Outcome], bool]]] = {
    "passing": Outcome.may_pass,
    "failed": Outcome.has_failed,
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardRequest:
    """Which shard to work on, in words that fit into a task run's parameters.

    ``session`` names this attempt at the run: its stop flag, and its listing of pictures.
    ``signs`` are the sessions of other processes whose stop sign ends the work.
    """

    run_uri: str
    number: int
    session: str
    retry: Retry = "no"
    device: str = "auto"
    budget: Budget = Budget()
    signs: tuple[str, ...] = ()


def work_through_shard(ledger: RunLedger, request: ShardRequest, attempt: int = 1) -> Tally | None:
    """Make a shard's pictures and write its results, unless somebody else is at it.

    Args:
        ledger: the run.
        request: the shard.
        attempt: of the task run; another one looks again which pictures there are.

    Returns:
        The counts of its outcomes, of some of them where the budget was used up: then the shard
        stays to be done, without the pictures that are made. None where somebody else works on it.

    Raises:
        RunStoppedError: the session's stop flag was set; the shard stays to be done.
    """
    look_out = heeding_stop_signs(ledger, request.session, request.signs)
    with look_out, claim_shard(ledger, request.number) as claim:
        if claim is None:
            return None
        shard = _shard_to_do(ledger, request)
        if shard is None:
            return tally_outcomes(ledger.outcomes_of(request.number))
        book = ShardBook(ledger, shard, request.session)
        leave = Leave(request.session, request.budget, claim)
        try:
            _make_rows(ledger, book, request, attempt, leave)
        except RunStoppedError:
            if leave.was_asked_for():
                raise
        return _close_shard(ledger, book, claim)


def _close_shard(ledger: RunLedger, book: ShardBook, claim: Claim) -> Tally | None:
    number = book.shard.number
    if claim.is_lost():
        _log.warning("shard %05d was taken over by somebody else, who goes on", number)
        return None
    if not book.is_complete:
        book.leave()
    elif not ledger.write_results(book.shard, book.outcomes()):
        _log.warning("shard %05d was finished by somebody else; theirs stands", number)
    return book.tally


def _shard_to_do(ledger: RunLedger, request: ShardRequest) -> Shard | None:
    if request.retry != "no":
        return ledger.read_failed_rows(request.number, RETRIED[request.retry])
    return None if ledger.has_results(request.number) else ledger.read_shard(request.number)


def _make_rows(
    ledger: RunLedger, book: ShardBook, request: ShardRequest, attempt: int, leave: Leave
) -> None:
    todo = book.refuse_planned()
    if not todo:
        return
    job = ledger.record.job.model_copy(update={"device": request.device})
    try:
        style = load_style(ledger.store, job, book.shard.style)
    except RowError as error:
        for index in todo:
            book.fail(index, error)
        return
    # Whoever worked on the shard before may have made pictures after this session listed them.
    session = f"{request.session}/{attempt}" if leave.claim.number == 1 else None
    reader = ContentReader(ledger, style.name, style.digest, session)
    line = _Line(ledger, book, reader)
    watch = Watch(
        on_evaluation=lambda *_: BOARD.count_evaluation(ledger.run_uri),
        save_every=job.output.save_every,
        on_picture=line.save_step,
        should_stop=leave.drops_pictures,
    )
    needs_slot = job.method != "identity" and uses_gpu(job.device)
    slot = server_slot(watch.check_stop) if needs_slot else nullcontext()
    with slot, open_painter(ledger.store, job, style, watch) as painter:
        if painter.inputs_digest != ledger.record.inputs_digest:
            raise JobError(
                "the network's weights or the picture to start from changed after the run was "
                "planned. Start the job again: the new ones make a new run."
            )
        line.run(painter, todo, leave)


class _Line:
    """The stations of a shard, and what passes between them."""

    def __init__(self, ledger: RunLedger, book: ShardBook, reader: ContentReader) -> None:
        self.store = ledger.store
        self.output_uri = ledger.output_uri
        self.job = ledger.record.job
        self.book = book
        self.reader = reader
        self.painter: Painter
        self.readings: dict[int, Reading] = {}
        self.scoring = threading.Lock()
        self.room = threading.BoundedSemaphore(_UNWRITTEN)

    def run(self, painter: Painter, todo: Sequence[int], leave: Leave) -> None:
        """Bring every row to its outcome."""
        self.painter = painter
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="write") as writers:
            writes = []
            started = time.perf_counter()
            for stylized in self.painter.stylizer.stylize(self._contents(todo, leave)):
                if stylized.error is not None:
                    del self.readings[stylized.key]
                    self.book.fail(stylized.key, stylized.error)
                elif stylized.pixels is not None:
                    waited = time.perf_counter() - started
                    self.room.acquire()
                    seconds = waited if stylized.seconds is None else stylized.seconds
                    work = (stylized, stylized.pixels, seconds)
                    writes.append(writers.submit(self._finish, *work))
                started = time.perf_counter()
        for write in writes:
            write.result()

    def save_step(self, key: int, evaluations: int, pixels: RgbImage) -> None:
        """Write an intermediate picture; one that cannot be written is not missed."""
        name, _, suffix = self.readings[key].names.output_uri.rpartition("/")[2].rpartition(".")
        style, step = self.book.shard.style.name, f"{evaluations:05d}.{suffix}"
        try:
            data = encode_image(pixels, self.job.output)
            uri = join_uri(self.output_uri, "timelapse", style, name, step)
            self.store.write_bytes(uri, data, _CONTENT_TYPES[self.job.output.format])
        except RowError as error:
            _log.warning("intermediate picture: %s", error)

    def _contents(self, todo: Sequence[int], leave: Leave) -> Iterator[Content]:
        """What is to be made; every other row gets its outcome on the way."""
        for index, reading in read_ahead(self._read, todo):
            if not leave.begins_another():
                return
            if isinstance(reading, RowError):
                self.book.fail(index, reading)
            elif isinstance(reading, AlreadyThere):
                self.book.skip(index, reading.names)
            elif reading.found is None or not self._keep_found(index, reading):
                self.readings[index] = reading
                yield Content(index, reading.content, reading.masks)

    def _read(self, index: int) -> tuple[int, Reading | AlreadyThere | RowError]:
        row = self.book.shard.rows[index]
        try:
            return index, self.reader.read(row)
        except RowError as error:
            return index, error
        except Exception as error:  # a fault of ours in one row must not cost the others
            _log.exception("row %s", row.row_id)
            return index, InternalError(row.content_uri, f"{type(error).__name__}: {error}")

    def _keep_found(self, index: int, reading: Reading) -> bool:
        """Count a picture that was made before its outcome was lost, if it is whole."""
        try:
            picture = decode_image(reading.found or b"", reading.names.output_uri, OUTPUT_LIMITS)
        except RowError:
            return False
        figures = self._figures(reading, picture)
        self.book.made(index, reading.names, reading.found or b"", picture, **figures)
        return True

    def _finish(self, stylized: Stylized, pixels: RgbImage, seconds: float) -> None:
        """Encode, write, measure what was written, and only then call it made."""
        reading = self.readings.pop(stylized.key)
        try:
            data = self._put(reading, encode_image(pixels, self.job.output))
            picture = decode_image(data, reading.names.output_uri, OUTPUT_LIMITS)
            figures = self._figures(reading, picture)
        except RowError as error:
            self.book.fail(stylized.key, error)
        else:
            figures |= {"seconds": seconds, "evaluations": stylized.evaluations}
            figures |= {"error_message": stylized.note}  # how it was made, where that is odd
            figures |= refinement_figures(stylized.refinement)
            self.book.made(stylized.key, reading.names, data, picture, **figures)
        finally:
            self.room.release()

    def _put(self, reading: Reading, data: bytes) -> bytes:
        """Write a picture, unless somebody was first; returns the bytes that are there then.

        A process that stood still, and whose shard was taken over meanwhile, replaces no picture
        that the other's outcomes tell of.
        """
        uri, kind = reading.names.output_uri, _CONTENT_TYPES[self.job.output.format]
        if reading.found is None:
            if self.store.create_once(uri, data, kind):
                return data
            with suppress(RowError):
                theirs, _ = self.store.read_bytes(uri, OUTPUT_LIMITS.max_bytes)
                decode_image(theirs, uri, OUTPUT_LIMITS)
                return theirs
        self.store.write_bytes(uri, data, kind)  # what is there is no picture
        return data

    def _figures(self, reading: Reading, picture: RgbImage) -> dict[str, float | str | None]:
        """Measured quality; unknown where memory is too short for it, which costs no picture."""
        content, scores = Content(0, reading.content, reading.masks), None
        try:
            with self.scoring:
                scores = self.painter.stylizer.score(content, picture)
        except (OutOfMemoryError, MemoryError, RuntimeError) as fault:
            if not (isinstance(fault, OutOfMemoryError) or _is_memory_fault(fault)):
                raise
            _log.warning("%s: not measured, memory ran out", reading.names.output_uri)
        return {"device": self.painter.device, **score_figures(scores)}


def _is_memory_fault(fault: Exception) -> bool:
    from stylecore.optimize.memory import is_memory_fault  # brings torch

    return is_memory_fault(fault)
