"""When to leave a shard before its end.

A stop flag, a claim that was lost, a budget of minutes, a store that is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stylecore.errors import RunStoppedError
from tasks.outages import StoreWatch
from tasks.stopping import stop_flag

_GRACE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that one start of a job may take: it ends by itself, and the next one goes on.

    Attributes:
        minutes: as the job has them; None: as many as it takes.
        ends_at: seconds since 1970, on the clock that all processes of a machine share; no
            picture is begun after that. None: never.
    """

    minutes: float | None = None
    ends_at: float | None = None

    @classmethod
    def starting_now(cls, minutes: float | None) -> Budget:
        """A budget of which nothing is used up yet."""
        return cls() if minutes is None else cls(minutes, time.time() + 60 * minutes)

    @property
    def is_used_up(self) -> bool:
        """Whether no picture may be begun any more."""
        return self._is_past(0.0)

    @property
    def is_overdrawn(self) -> bool:
        """Whether pictures that were begun in time are to be dropped, since they take too long."""
        return self._is_past(_GRACE_S)

    def _is_past(self, grace_s: float) -> bool:
        return self.ends_at is not None and time.time() >= self.ends_at + grace_s


class Leave:
    """Tells the stations of one shard when to end.

    Args:
        session: whose stop flag counts.
        budget: of the run.
        is_lost: whether somebody else has the shard by now.
        store: what is known of the store; rows wait for it.
    """

    def __init__(
        self, session: str, budget: Budget, is_lost: Callable[[], bool], store: StoreWatch
    ) -> None:
        self.store = store
        self._is_lost = is_lost
        self._budget = budget
        self._stop = stop_flag(session)

    def was_asked_for(self) -> bool:
        """Whether somebody set the stop flag."""
        return self._stop.is_set()

    def drops_pictures(self) -> bool:
        """Whether pictures in the making are to be dropped."""
        is_ours = not (self._is_lost() or self.store.has_given_up)
        return self.was_asked_for() or not is_ours or self._budget.is_overdrawn

    def begins_another(self) -> bool:
        """Whether there is time for another picture.

        Raises:
            RunStoppedError: not even for those in the making.
        """
        if self.drops_pictures():
            raise RunStoppedError("the run was asked to stop")
        return not self._budget.is_used_up
