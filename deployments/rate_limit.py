"""How often something may happen: a token bucket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets a burst through, and after it a steady rate; for any number of threads.

    Args:
        per_second: tokens that come back each second.
        burst: tokens that it holds, full at first.
        clock: seconds that never go backwards.
    """

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a token; False if there is none."""
        with self._lock:
            now = self._clock()
            back = (now - self._at) * self._per_second
            self._tokens, self._at = min(self._burst, self._tokens + back), now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
