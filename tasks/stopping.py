"""Stop flags by session: Prefect cannot stop a thread that computes, so the loop looks at these.

A flag is of one process. For shards that other processes work on there is a sign in the ledger,
which they look for every few seconds:

    runs/<run_id>/stops/<session>.json
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from stylecore.batch.fingerprint import digest_of
from stylecore.batch.ledger import RunLedger
from stylecore.errors import RowError

_LOOK_EVERY_S: Final = 3.0
_lock = threading.Lock()
_flags: dict[str, threading.Event] = {}


def stop_flag(session: str) -> threading.Event:
    """The flag of one attempt at a run; set it, and its shards stop at the next evaluation."""
    with _lock:
        return _flags.setdefault(session, threading.Event())


def raise_stop_sign(ledger: RunLedger, session: str) -> None:
    """Stop the shards of a session in whatever process they are."""
    stop_flag(session).set()
    with suppress(RowError):  # then they end when they are done
        ledger.store.write_bytes(_sign_uri(ledger, session), b"{}", "application/json")


@contextmanager
def heeding_stop_signs(
    ledger: RunLedger, session: str, of_sessions: Sequence[str]
) -> Iterator[None]:
    """Set a session's flag as soon as one of some sessions raises its sign, during the body."""
    done = threading.Event()
    uris = [_sign_uri(ledger, one) for one in of_sessions]
    arguments = (ledger, uris, stop_flag(session), done)
    thread = threading.Thread(target=_look_out, args=arguments, name="stop signs", daemon=True)
    if uris:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if uris:
            thread.join()


def _look_out(
    ledger: RunLedger, uris: Sequence[str], flag: threading.Event, done: threading.Event
) -> None:
    while not flag.is_set():
        with suppress(RowError):
            if any(ledger.store.exists(uri) for uri in uris):
                flag.set()
        if done.wait(_LOOK_EVERY_S):
            return


def _sign_uri(ledger: RunLedger, session: str) -> str:
    return ledger.uri("stops", f"{digest_of([session])[:16]}.json")
