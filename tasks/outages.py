"""When not an object but the whole store fails: rows wait for it, and are not failed for it.

Whether it is the store is asked of the run's own ``job.json``. A store that is away for minutes
costs the run that time and nothing else; one that stays away, or refuses us, ends the run with
its rows still to do, so that a night's rows are not marked as failed one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from stylecore.batch.ledger import RunLedger
from stylecore.errors import (
    ForbiddenError,
    JobError,
    RunStoppedError,
    StorageFaultError,
    StorageFullError,
    StorageTimeoutError,
    StoreAwayError,
)
from tasks.stopping import stop_flag

if TYPE_CHECKING:
    from tasks.leaving import Budget

PATIENCE_S: Final = 600.0
_LOOK_EVERY_S: Final = 5.0
_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class StoreWatch:
    """What the threads of one shard know of the store.

    Args:
        ledger: the run.
        session: whose stop flag ends the waiting.
        budget: whose end ends it too.
    """

    def __init__(self, ledger: RunLedger, session: str, budget: Budget) -> None:
        self._ledger = ledger
        self._stop = stop_flag(session)
        self._budget = budget
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._given_up: StoreAwayError | None = None

    def bridge(self, call: Callable[[], _Answer]) -> _Answer:
        """What a call returns; where it fails, it is made again as soon as the store answers.

        Raises:
            RowError: the call's own, if it failed again although the store answers others.
            StoreAwayError: the store was away for ``PATIENCE_S``, refuses us the run itself, or has
                no room left.
            RunStoppedError: the run was stopped, or its budget used up, meanwhile.
        """
        was_there = False
        while True:
            if self._given_up is not None:
                raise self._given_up
            try:
                return call()
            except StorageFullError as error:
                raise StoreAwayError(f"{error}. Free some.") from error
            except (StorageFaultError, StorageTimeoutError, ForbiddenError):
                is_there = self._answers()
                if is_there and was_there:
                    raise
            if not is_there:
                self._wait()
            was_there = True

    @property
    def has_given_up(self) -> bool:
        """Whether the store was away for too long."""
        return self._given_up is not None

    def _wait(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S) and not self._budget.is_used_up:
            if self._answers():
                return
        raise RunStoppedError("the run was stopped while it waited for the store")

    def _answers(self) -> bool:
        """Whether the store gives us the run's own object now."""
        try:
            self._ledger.store.check_reachable(self._ledger.uri("job.json"), "the run's output")
        except JobError as error:
            self._count_time(error)
            return False
        with self._lock:
            self._away_since = None
        return True

    def _count_time(self, error: JobError) -> None:
        now = time.monotonic()
        with self._lock:
            if self._away_since is None:
                _log.warning("waiting for the store: %s", error)
                self._away_since = now
            is_refused = isinstance(error.__cause__, ForbiddenError)
            if is_refused or now - self._away_since >= PATIENCE_S:
                self._given_up = StoreAwayError(str(error))
                raise self._given_up from error
