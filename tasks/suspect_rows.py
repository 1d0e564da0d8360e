"""Rows of a shard that may end the process that makes them: which, and what came of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stylecore.batch.ledger import RunLedger
from stylecore.batch.suspects import DEADLY_CODES, Suspect, Suspects
from tasks.apart import make_apart
from tasks.leaving import Leave
from tasks.shard_book import ShardBook

if TYPE_CHECKING:
    from tasks.shard_work import ShardRequest

_log = logging.getLogger(__name__)


class SuspectRows:
    """Makes them apart, and remembers for other shards and other runs which of them do harm.

    Args:
        ledger: the run.
        book: of the shard; gets the outcomes.
        leave: when to end before the last of them.
        request: the shard.
    """

    def __init__(
        self, ledger: RunLedger, book: ShardBook, leave: Leave, request: ShardRequest
    ) -> None:
        self._run_uri = ledger.run_uri
        self._suspects = Suspects(ledger.store, ledger.output_uri)
        self._known: dict[int, Suspect] = {}
        self._book = book
        self._leave = leave
        self._request = request

    def among(self, todo: Sequence[int]) -> list[int]:
        """Places of the rows whose photographs are suspect already."""
        rows = [(place, self._book.shard.rows[place].content_uri) for place in todo]
        self._known = self._leave.store.bridge(lambda: self._suspects.among(rows))
        return sorted(self._known)

    def make(self, places: Sequence[int]) -> None:
        """Make rows one by one in a process apart; each photograph ends but one in a run.

        Raises:
            RunStoppedError: somebody asked the work to stop.
            JobError: something is no longer what was planned.
        """
        _log.warning(
            "shard %05d: %d rows may end a process; they are made one by one, apart",
            self._book.shard.number,
            len(places),
        )
        tried = [place for place in places if not self._is_set_aside(place)]
        make_apart(self._book, tried, self._leave, self._request, self._remember)

    def _is_set_aside(self, place: int) -> bool:
        suspect = self._known.get(place)
        error = suspect.error_in(self._run_uri) if suspect else None
        if error is None or self._request.retry != "no":
            return False
        self._book.fail(place, error)
        return True

    def _remember(self, place: int) -> None:
        outcome, known = self._book.outcome(place), self._known.get(place)
        if outcome.error_code in DEADLY_CODES:
            self._suspects.note(outcome, self._run_uri)
        elif known is not None and known.is_cleared_by(outcome):
            self._suspects.clear(outcome.content_uri)
