"""Old runs are forgotten: their plans, results and reports. Their pictures stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri

_is_run_id: Final = re.compile(r"[0-9a-f]{16}").fullmatch


def prune_runs(current: RunLedger, keep_days: int, now: datetime) -> Iterator[str]:
    """Remove the runs beside a run that nobody wrote to for some days, finished or not.

    A run that is being worked on is written to all the time. Never touched are the current run,
    ``images/``, and what is no run of ours by its name.

    Args:
        current: a run of the output.
        keep_days: days without a write.
        now: the time, by the store's clock.

    Yields:
        The URI of each run that was removed.
    """
    oldest_kept = now - timedelta(days=keep_days)
    for run_id, written in _last_writes(current.store, current.output_uri).items():
        if run_id != current.run_id and written < oldest_kept:
            run = RunLedger(current.store, current.output_uri, run_id)
            # First what makes it a run: if we are interrupted, nobody takes the rest for one.
            run.store.delete(run.uri("job.json"))
            run.store.delete_folder(run.run_uri)
            yield run.run_uri
    _forget_suspects(current, oldest_kept)


def _forget_suspects(current: RunLedger, oldest_kept: datetime) -> None:
    """Remove notes on photographs that no run met for so long."""
    folder = join_uri(current.output_uri, "deaths")
    for info in list(current.store.list_objects(f"{folder}/")):
        if info.modified < oldest_kept:
            current.store.delete(info.uri)


def _last_writes(store: Store, output_uri: str) -> dict[str, datetime]:
    folder = f"{join_uri(output_uri, 'runs')}/"
    latest: dict[str, datetime] = {}
    for info in store.list_objects(folder):
        run_id, separator, _ = info.uri.removeprefix(folder).partition("/")
        if separator and _is_run_id(run_id):
            latest[run_id] = max(info.modified, latest.get(run_id, info.modified))
    return latest
