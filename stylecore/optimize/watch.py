"""How a caller follows the making of pictures and ends it: progress, a stop flag, a deadline.

Without torch, so that what only rehearses a job need not load it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylecore.errors import RunStoppedError

if TYPE_CHECKING:
    from stylecore.images.codec import RgbImage


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Watch:
    """What happens between two evaluations of the objective.

    Attributes:
        on_evaluation: called for each picture after each evaluation, with its key, how many it
            has taken part in, and its total.
        save_every: evaluations between two intermediate pictures; 0: there are none.
        on_picture: called with a picture's key, its evaluations, and the best of it so far.
        should_stop: asked before each evaluation; true ends the work with ``RunStoppedError``.
        deadline: on the clock of ``time.monotonic``, in seconds; None is never.
    """

    on_evaluation: Callable[[int, int, float], None] | None = None
    save_every: int = 0
    on_picture: Callable[[int, int, RgbImage], None] | None = None
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
