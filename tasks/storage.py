"""This process's store and the ledgers it has open: names travel between processes, not these."""

from __future__ import annotations

from functools import cache, lru_cache

from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store


@cache
def store() -> Store:
    """The one store of this process; safe to share between threads."""
    return Store()


@lru_cache(maxsize=8)
def open_run(run_uri: str) -> RunLedger:
    """The ledger of a run; ``job.json`` never changes, so it is read once.

    Raises:
        JobError: there is no such run.
    """
    return open_ledger(store(), run_uri)
