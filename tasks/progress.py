"""How far a run is: in memory for this process, as small objects in the ledger for all others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.errors import RowError

_WRITE_EVERY_S: Final = 10.0


@dataclass(slots=True)
class Tally:
    """Counts of outcomes; what a shard's task run returns."""

    made: int = 0
    skipped: int = 0
    failed: int = 0
    failed_by_code: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Rows that have an outcome."""
        return self.made + self.skipped + self.failed

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        setattr(self, outcome.status, getattr(self, outcome.status) + 1)
        if outcome.error_code is not None:
            self.failed_by_code[outcome.error_code] += 1

    def merge(self, other: Tally) -> None:
        """Count another tally's outcomes too."""
        self.made += other.made
        self.skipped += other.skipped
        self.failed += other.failed
        self.failed_by_code.update(other.failed_by_code)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "failed_by_code": dict(self.failed_by_code)}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Tally:
        """The tally of ``as_dict``; what is missing counts as none."""
        counts = {name: values.get(name, 0) for name in ("made", "skipped", "failed")}
        return cls(**counts, failed_by_code=Counter(values.get("failed_by_code", {})))


def tally_outcomes(outcomes: Iterable[Outcome]) -> Tally:
    """Count outcomes."""
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


class ProgressBoard:
    """Live counts of the runs that this process works on, by run and shard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, int], Tally] = {}
        self._evaluations: Counter[str] = Counter()

    def post(self, run_uri: str, shard: int, tally: Tally) -> None:
        """Replace the count of one shard."""
        with self._lock:
            self._tallies[run_uri, shard] = tally

    def count_evaluation(self, run_uri: str) -> None:
        """One more evaluation of pictures that are being made."""
        with self._lock:
            self._evaluations[run_uri] += 1

    def read(self, run_uri: str) -> tuple[Tally, int]:
        """Counts over all shards of a run, and evaluations so far."""
        total = Tally()
        with self._lock:
            for (uri, _), tally in self._tallies.items():
                if uri == run_uri:
                    total.merge(tally)
            return total, self._evaluations[run_uri]

    def forget(self, run_uri: str) -> None:
        """Drop a run's counts."""
        with self._lock:
            self._tallies = {k: v for k, v in self._tallies.items() if k[0] != run_uri}
            del self._evaluations[run_uri]


BOARD: Final = ProgressBoard()


class ShardProgress:
    """Counts one shard's outcomes and tells the board, and now and then the ledger."""

    def __init__(self, ledger: RunLedger, shard: int, planned: int, session: str) -> None:
        self.tally = Tally()
        self._ledger = ledger
        self._shard = shard
        self._planned = planned
        self._session = session
        self._written_at = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.tally.add(outcome)
        BOARD.post(self._ledger.run_uri, self._shard, self.tally)
        if time.monotonic() - self._written_at >= _WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Tell the ledger."""
        self._written_at = time.monotonic()
        counts = {"done": self.tally.done, "planned": self._planned, "session": self._session}
        value = {**self.tally.as_dict(), **counts}
        try:
            self._ledger.write_progress(self._shard, value)
        except RowError:
            return  # only for people who watch: the next one may get through
