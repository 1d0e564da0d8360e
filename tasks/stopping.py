"""Stop flags by session: Prefect cannot stop a thread that computes, so the loop looks at these."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_flags: dict[str, threading.Event] = {}


def stop_flag(session: str) -> threading.Event:
    """The flag of one attempt at a run; set it, and its shards stop at the next evaluation."""
    with _lock:
        return _flags.setdefault(session, threading.Event())


def stop_all() -> None:
    """Stop every session of this process."""
    with _lock:
        for flag in _flags.values():
            flag.set()
