"""The process in which suspect rows are made, one at a time: ``python -m tasks.row_process FD``.

It is told a shard, says that it is ready, and answers each place of a row with an outcome. When
whoever started it goes away, for whatever reason, it stops.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from stylecore.batch.ledger import Shard
from stylecore.errors import JobError, RunStoppedError, StoreAwayError
from tasks.leaving import Budget, Leave
from tasks.outages import StoreWatch
from tasks.shard_book import ShardBook
from tasks.shard_line import Line, load_or_fail, open_line
from tasks.shard_work import ShardRequest
from tasks.stopping import stop_flag
from tasks.storage import open_run

READY: Final = "ready"
_END_S: Final = 20.0


def main(connection: Connection) -> None:
    """Answer until the other end is closed."""
    _be_the_first_to_go()
    request, shard = connection.recv()
    places = _Places(connection, request.session)
    try:
        _serve(connection, request, shard, places)
    except RunStoppedError:
        return
    except (JobError, StoreAwayError) as error:
        _send(connection, type(error)(str(error)))
    except Exception as error:  # whatever it is, the other end has to be told
        _send(connection, RuntimeError(f"{type(error).__name__}: {error}"))


def _serve(
    connection: Connection, request: ShardRequest, shard: Shard, places: Iterable[int]
) -> None:
    ledger = open_run(request.run_uri)
    book = ShardBook(shard, lambda _: None)
    budget = Budget()  # whoever asks for rows knows the run's
    store = StoreWatch(ledger, request.session, budget)
    leave = Leave(request.session, budget, lambda: False, store)
    style = load_or_fail(ledger, book, range(len(shard.rows)), leave)
    if style is None:
        _answer(connection, book, places)
        return
    with open_line(ledger, book, style, leave, (request.device, None)) as line:
        _answer(connection, book, _made(line, places))


def _made(line: Line, places: Iterable[int]) -> Iterator[int]:
    for place in places:
        line.run([place])
        yield place


def _answer(connection: Connection, book: ShardBook, places: Iterable[int]) -> None:
    _send(connection, READY)
    for place in places:
        _send(connection, book.outcome(place))


class _Places:
    """Places of rows as they are asked for, until the other end is closed.

    Whoever computes then is stopped, and if that takes too long, so is the process.
    """

    def __init__(self, connection: Connection, session: str) -> None:
        self._connection = connection
        self._stop = stop_flag(session)
        self._asked: queue.Queue[int | None] = queue.Queue()
        threading.Thread(target=self._listen, name="places", daemon=True).start()

    def __iter__(self) -> Iterator[int]:
        while (place := self._asked.get()) is not None:
            yield place

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._asked.put(self._connection.recv())
        self._stop.set()
        self._asked.put(None)
        time.sleep(_END_S)
        os._exit(0)


def _send(connection: Connection, message: object) -> None:
    with suppress(OSError):  # the other end is closed, which is heard elsewhere
        connection.send(message)


def _be_the_first_to_go() -> None:
    """Where memory runs out, let the system end this process rather than another."""
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
