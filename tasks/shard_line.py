"""The stations of a shard: readers ahead, one device, writers behind.

One bad row becomes a failed outcome; a fault of the run itself propagates.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.uris import join_uri
from stylecore.errors import (
    ImageDecodeError,
    InternalError,
    JobError,
    MissingError,
    OutOfMemoryError,
    RowError,
    RunStoppedError,
    StoreAwayError,
)
from stylecore.images.codec import RgbImage, decode_image, encode_image
from stylecore.optimize.watch import Watch
from stylecore.printable import printable
from stylecore.stylizer import Content, Stylized
from tasks.leaving import Leave
from tasks.painting import LoadedStyle, Painter, load_style, open_painter
from tasks.progress import BOARD
from tasks.reading import OUTPUT_LIMITS, AlreadyThere, ContentReader, Reading, read_ahead
from tasks.shard_book import ShardBook, refinement_figures, score_figures

_WRITERS: Final = 2
_UNWRITTEN: Final = 4
_CONTENT_TYPES: Final = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_log = logging.getLogger(__name__)


def make_here(
    ledger: RunLedger,
    book: ShardBook,
    todo: Sequence[int],
    leave: Leave,
    place: tuple[str, str | None],
) -> None:
    """Make rows of a shard in this process, several at once.

    Args:
        ledger: the run.
        book: of the shard; gets the outcomes.
        todo: places of the rows.
        leave: when to end before the last of them.
        place: the device, and the name of the listing of pictures; shards that share it are
            listed once.
    """
    style = load_or_fail(ledger, book, todo, leave)
    if style is not None:
        with open_line(ledger, book, style, leave, place) as line:
            line.run(todo)


def load_or_fail(
    ledger: RunLedger, book: ShardBook, todo: Sequence[int], leave: Leave
) -> LoadedStyle | None:
    """The shard's style; where its painting cannot be read, every row fails for that reason."""
    job, planned = ledger.record.job, book.shard.style
    try:
        return leave.store.bridge(lambda: load_style(ledger.store, job, planned))
    except RowError as error:
        for index in todo:
            book.fail(index, error)
        return None


@contextmanager
def open_line(
    ledger: RunLedger,
    book: ShardBook,
    style: LoadedStyle,
    leave: Leave,
    place: tuple[str, str | None],
) -> Iterator[Line]:
    """Be ready to make a shard's pictures: hold a device, with the style's stylizer on it.

    Args:
        ledger: the run.
        book: of the shard.
        style: its style.
        leave: when to end.
        place: device and name of the listing, as for ``make_here``.

    Raises:
        JobError: something that the stylizer needs is no longer what was planned.
    """
    device, listing = place
    job = ledger.record.job.model_copy(update={"device": device})
    pictures = (ledger, style.name, style.digest, listing)
    line = Line(ledger, book, leave.store.bridge(lambda: ContentReader(*pictures)), leave)
    watch = Watch(
        on_evaluation=lambda *_: BOARD.count_evaluation(ledger.run_uri),
        save_every=job.output.save_every,
        on_picture=line.save_step,
        should_stop=leave.drops_pictures,
    )
    opening = (ledger.store, job, style, watch)
    with ExitStack() as ends:
        painter = leave.store.bridge(lambda: ends.enter_context(open_painter(*opening)))
        if painter.inputs_digest != ledger.record.inputs_digest:
            raise JobError(
                "the network's weights or the picture to start from changed after the run was "
                "planned. Start the job again: the new ones make a new run."
            )
        line.painter = painter
        yield line


class Line:
    """The stations of a shard, and what passes between them."""

    def __init__(
        self, ledger: RunLedger, book: ShardBook, reader: ContentReader, leave: Leave
    ) -> None:
        self.store = ledger.store
        self.output_uri = ledger.output_uri
        self.job = ledger.record.job
        self.book = book
        self.reader = reader
        self.leave = leave
        self.painter: Painter
        self.readings: dict[int, Reading] = {}
        self.scoring = threading.Lock()
        self.room = threading.BoundedSemaphore(_UNWRITTEN)

    def run(self, todo: Sequence[int]) -> None:
        """Bring every row to its outcome, as long as there is time."""
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="write") as writers:
            writes: deque[Future[None]] = deque()
            started = time.perf_counter()
            for stylized in self.painter.stylizer.stylize(self._contents(todo)):
                if stylized.error is not None:
                    del self.readings[stylized.key]
                    self.book.fail(stylized.key, stylized.error)
                elif stylized.pixels is not None:
                    waited = time.perf_counter() - started
                    self.room.acquire()
                    seconds = waited if stylized.seconds is None else stylized.seconds
                    work = (stylized, stylized.pixels, seconds)
                    writes.append(writers.submit(self._finish, *work))
                    while writes[0].done() and len(writes) > 1:
                        writes.popleft().result()
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

    def _contents(self, todo: Sequence[int]) -> Iterator[Content]:
        """What is to be made; every other row gets its outcome on the way."""
        for index, reading in read_ahead(self._read, todo):
            if not self.leave.begins_another():
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
            return index, self.leave.store.bridge(lambda: self.reader.read(row))
        except RowError as error:
            return index, error
        except (RunStoppedError, StoreAwayError):
            raise
        except MemoryError:
            return index, OutOfMemoryError(row.content_uri, "memory ran out while it was read")
        except Exception as error:  # a fault of ours in one row must not cost the others
            _log.exception("row %s", printable(row.row_id))
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
            encoded = encode_image(pixels, self.job.output)
            data = self.leave.store.bridge(lambda: self._put(reading, encoded))
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
            with suppress(MissingError, ImageDecodeError):
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
