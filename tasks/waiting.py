"""Shards that others work on: wait for their results, or until nobody works on them any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prefect.logging import get_run_logger

from stylecore.batch.claims import holder_of
from stylecore.batch.ledger import RunLedger
from tasks.leaving import Budget
from tasks.progress import BOARD, tally_outcomes
from tasks.publish import ProgressPublisher
from tasks.stopping import stop_flag

_LOOK_EVERY_S: Final = 5.0


class OtherWorkers:
    """The shards of a run that other processes work on.

    Args:
        ledger: the run.
        session: whose stop flag ends the waiting.
        budget: whose end ends it too.
    """

    def __init__(self, ledger: RunLedger, session: str, budget: Budget) -> None:
        self._ledger = ledger
        self._stop = stop_flag(session)
        self._budget = budget

    def wait(self, numbers: Iterable[int], publisher: ProgressPublisher) -> list[int]:
        """Wait, and show it, until there is something to do.

        Returns:
            The shards that are not done, once one of them may be taken; none when all are done,
            the time is used up, or somebody asked the run to stop.
        """
        waiting, told = set(numbers), ""
        while waiting := self._count_done(waiting):
            holders = {number: holder_of(self._ledger, number) for number in sorted(waiting)}
            if self._budget.is_used_up:
                return []
            if None in holders.values():
                return sorted(waiting)
            text = _in_words(holders)
            if text != told:
                get_run_logger().warning(text)
                told = text
            publisher.publish(note=text)
            if self._stop.wait(_LOOK_EVERY_S):
                return []
        return []

    def _count_done(self, waiting: set[int]) -> set[int]:
        """Count the outcomes that others wrote; returns the shards that have none yet."""
        done = self._ledger.result_files()
        for number in waiting & done.keys():
            outcomes = self._ledger.outcomes_of(number, done[number])
            BOARD.post(self._ledger.run_uri, number, tally_outcomes(outcomes))
        return waiting - done.keys()


def _in_words(holders: dict[int, str | None]) -> str:
    number, holder = next(iter(holders.items()))
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    return f"waiting for shard {number:05d}{more}: {holder} works on it"
