"""Rows made in a process apart, one at a time, where one of them may have ended a process.

A fault outside of Python, in a decoder or a device's driver, takes the whole process with it, and
so does the system when memory runs out. Whoever takes over the dead one's shard gives its rows to
``tasks.row_process``: one that ends this too is set aside, and the rest goes on.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import IO, TYPE_CHECKING, Any, Final, Self

from stylecore.batch.outcome import Outcome
from stylecore.errors import CrashedError, OutOfMemoryError, RowError, RunStoppedError
from stylecore.printable import printable
from tasks.leaving import Leave
from tasks.shard_book import ShardBook

if TYPE_CHECKING:
    from tasks.shard_work import ShardRequest

_LOOK_EVERY_S: Final = 0.5
_END_S: Final = 30.0
_LOGGED_CHARS: Final = 2000
# Somebody asked the process to end: no row did.
_ASKED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = logging.getLogger(__name__)


def make_apart(
    book: ShardBook,
    todo: Sequence[int],
    leave: Leave,
    request: ShardRequest,
    remember: Callable[[int], None],
) -> None:
    """Make rows of a shard, each for itself, in another process.

    Args:
        book: of the shard; gets the outcomes.
        todo: places of the rows.
        leave: when to end before the last of them.
        request: the shard.
        remember: called with the place of each row when it has its outcome.

    Raises:
        RunStoppedError: somebody asked the work to stop.
        JobError: something is no longer what was planned.
        RuntimeError: a fault that is no row's.
    """
    left = list(todo)
    while left and leave.begins_another():
        with (
            tempfile.TemporaryFile() as output,
            _RowProcess(book, request, leave, output) as process,
        ):
            while left and leave.begins_another():
                index = left[0]
                outcome = process.make(index)
                if outcome is None:
                    break
                book.enter(index, outcome)
                remember(left.pop(0))
        if left and process.in_hand is not None:
            book.fail(left[0], process.blame(book.shard.rows[process.in_hand].content_uri))
            remember(left.pop(0))


class _RowProcess:
    """The other process, from its start to its end.

    Attributes:
        in_hand: place of the row at which it ended, if it did.
    """

    def __init__(
        self, book: ShardBook, request: ShardRequest, leave: Leave, output: IO[bytes]
    ) -> None:
        self.in_hand: int | None = None
        self._leave = leave
        self._output = output
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "tasks.row_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the one that was started by a person
            )
        self._task = (request, book.shard)

    def __enter__(self) -> Self:
        try:
            with suppress(ConnectionError):
                self._connection.send(self._task)
            if self._receive() is None:
                raise RuntimeError(f"the process for rows did not start: {self._last_words()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()  # which it takes for the end
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def make(self, index: int) -> Outcome | None:
        """What came of a row; None where the process ended at it."""
        with suppress(ConnectionError):
            self._connection.send(index)
        outcome: Outcome | None = self._receive()
        if outcome is None:
            self.in_hand = index
            self._process.wait(_END_S)
            _log.warning("at row %d a process ended: %s", index, self._last_words())
        return outcome

    def _receive(self) -> Any:
        """The next message; None where it ended."""
        while not self._connection.poll(_LOOK_EVERY_S):
            if self._leave.drops_pictures():
                raise RunStoppedError("the run was asked to stop")
        try:
            message = self._connection.recv()
        except (EOFError, ConnectionError):
            return None
        if isinstance(message, Exception):
            raise message
        return message

    def blame(self, uri: str) -> RowError:
        """What the end of the process means for the row that it had in hand."""
        code = self._process.returncode
        if code >= 0:
            return CrashedError(uri, f"the process that made it ended with exit code {code}")
        number = signal.Signals(-code)
        if number in _ASKED:
            raise RuntimeError(f"somebody ended the process for rows ({number.name})")
        reason = f"the process that made it was ended by {number.name}"
        if number == signal.SIGKILL:
            return OutOfMemoryError(uri, f"{reason}, as the system does where memory runs out")
        return CrashedError(uri, f"{reason}, a fault outside of Python")

    def _last_words(self) -> str:
        self._output.seek(0)
        words = self._output.read().decode(errors="replace")[-_LOGGED_CHARS:]
        return printable(words.strip(), keeps_lines=True)
