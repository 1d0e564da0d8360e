"""How a caller follows a minimisation and ends it: progress, a stop flag and a deadline.

Without torch, so that what only rehearses a job need not load it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylecore.errors import RunStoppedError

if TYPE_CHECKING:
    from stylecore.types import PerImage


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Watch:
    """What happens between two evaluations of the objective.

    Attributes:
        on_evaluation: called after each evaluation with its number, from 1, and the totals of the
            batch; those of pictures that are finished mean nothing.
        should_stop: asked before each evaluation; true ends the work with ``RunStoppedError``.
        deadline: on the clock of ``time.monotonic``, in seconds; None is never.
    """

    on_evaluation: Callable[[int, PerImage], None] | None = None
    should_stop: Callable[[], bool] = _never
    deadline: float | None = None

    def check_stop(self) -> None:
        """Leave if somebody asked to.

        Raises:
            RunStoppedError: the stop flag is set.
        """
        if self.should_stop():
            raise RunStoppedError("the run was asked to stop")

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline
