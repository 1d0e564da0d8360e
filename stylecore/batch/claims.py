"""Who works on which shard, so that several processes on one run never do the same one at once.

    runs/<run_id>/claims/00000.<n>.json   create-once by its owner, who writes it again and again

The claim with the highest ``n`` counts. It is over when its owner said so, when its process on this
machine is dead, or when nobody wrote it for a minute of the store's own clock; then whoever creates
``n + 1`` has the shard. No machine's clock matters. A claim only saves work: results are
create-once, so two owners at once, however that came about, cannot spoil the ledger.
"""

from __future__ import annotations

import itertools
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from pydantic import ValidationError

from stylecore.batch.ledger import RunLedger
from stylecore.batch.processes import ProcessName, this_process
from stylecore.errors import MissingError, RowError
from stylecore.settings import FrozenModel

TOUCH_EVERY_S: Final = 15.0
STALE_AFTER_S: Final = 60.0
_CLAIM_NAME: Final = re.compile(r"(\d{5,})\.(\d+)\.json\Z")
Stand = Literal["held", "died", "left"]


class ClaimRecord(FrozenModel):
    """``claims/00000.<n>.json``.

    Attributes:
        owner: differs for each claim.
        process: that works on the shard.
        is_released: whether it no longer does.
        is_suspect: whether it took the shard over from one that died, and did not finish it.
    """

    owner: str
    process: ProcessName
    is_released: bool = False
    is_suspect: bool = False


class Claim:
    """A shard that is ours until somebody finds the claim stale.

    Attributes:
        shard: its number.
        number: of the claim on its shard; above 1, somebody else worked on the shard before.
        follows_death: whether that one never said that it no longer works on it, or took the
            shard over from one like that.
        is_done: to be set once the shard is.
    """

    def __init__(
        self, ledger: RunLedger, shard: int, number: int, record: ClaimRecord, follows_death: bool
    ) -> None:
        self.shard = shard
        self.number = number
        self.follows_death = follows_death
        self.is_done = False
        self._store = ledger.store
        self._uri = _claim_uri(ledger, shard, number)
        self._next_uri = _claim_uri(ledger, shard, number + 1)
        self._record = record
        self._released = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._touch, name=f"claim {shard}", daemon=True)
        self._thread.start()

    @property
    def seems_lost(self) -> bool:
        """Whether the last touch found that somebody took the shard over; asks no store."""
        return self._lost.is_set()

    def is_lost(self) -> bool:
        """Ask the store whether somebody took the shard over; to be asked before results."""
        if self._store.exists(self._next_uri):
            self._lost.set()
        return self.seems_lost

    def release(self) -> None:
        """Say that we no longer work on the shard."""
        self._released.set()
        self._thread.join()
        try:
            is_suspect = self.follows_death and not self.is_done
            update = {"is_released": True, "is_suspect": is_suspect}
            self._write(self._record.model_copy(update=update))
        except RowError:
            return  # others will find it stale

    def _touch(self) -> None:
        while not self._released.wait(TOUCH_EVERY_S):
            try:
                self._write(self._record)
                self.is_lost()
            except RowError:
                continue  # the next one may get through, and if none does, the claim is stale

    def _write(self, record: ClaimRecord) -> None:
        self._store.write_bytes(self._uri, _encode(record), "application/json")


@contextmanager
def claim_shard(ledger: RunLedger, shard: int) -> Iterator[Claim | None]:
    """Claim a shard while the body works on it.

    Args:
        ledger: the run.
        shard: its number.

    Yields:
        The claim, or None where somebody else has a fresh one.

    Raises:
        RowError: the store cannot be asked.
    """
    claim = _take(ledger, shard)
    try:
        yield claim
    finally:
        if claim is not None:
            claim.release()


def holder_of(ledger: RunLedger, shard: int) -> str | None:
    """Who has a fresh claim on a shard, in words, or None where it may be taken."""
    for number in itertools.count(1):
        uri = _claim_uri(ledger, shard, number)
        if not ledger.store.exists(uri):
            return None
        record = _read(ledger, uri)
        if record is None or not _is_held(ledger, uri, record):
            continue
        if not ledger.store.exists(_claim_uri(ledger, shard, number + 1)):
            return str(record.process)
    raise AssertionError("claims have no end")


def stand_of_shards(ledger: RunLedger) -> dict[int, Stand]:
    """How it stands with the shards that somebody began and nobody finished, or tried again.

    Returns:
        For each such shard whether somebody is at it, whether whoever was at it last died, or
        took over from one who died, or whether that one left it in order.

    Raises:
        RowError: the store cannot be asked.
    """
    latest: dict[int, int] = {}
    for info in ledger.store.list_objects(ledger.uri("claims") + "/"):
        if name := _CLAIM_NAME.search(info.uri):
            latest[int(name[1])] = max(int(name[2]), latest.get(int(name[1]), 0))
    done = ledger.result_files() if latest else {}
    return {
        shard: _stand(ledger, _claim_uri(ledger, shard, latest[shard]))
        for shard in sorted(latest)
        if shard not in done or latest[shard] > 1  # retries have results from before
    }


def _stand(ledger: RunLedger, uri: str) -> Stand:
    record = _read(ledger, uri)
    if record is None:
        return "left"
    if _is_held(ledger, uri, record):
        return "held"
    return "left" if record.is_released and not record.is_suspect else "died"


def _take(ledger: RunLedger, shard: int) -> Claim | None:
    mine = ClaimRecord(owner=uuid.uuid4().hex, process=this_process())
    before: ClaimRecord | None = None
    for number in itertools.count(1):
        uri = _claim_uri(ledger, shard, number)
        if ledger.store.create_once(uri, _encode(mine)):
            return Claim(ledger, shard, number, mine, _is_bad_sign(before, mine))
        is_latest = not ledger.store.exists(_claim_uri(ledger, shard, number + 1))
        before = _read(ledger, uri)
        if is_latest and before and _is_held(ledger, uri, before):
            return None
    raise AssertionError("claims have no end")


def _is_bad_sign(before: ClaimRecord | None, mine: ClaimRecord) -> bool:
    """Whether something in the shard may have ended whoever was at it before."""
    if before is None:
        return False
    has_died = not before.is_released and before.process != mine.process
    return before.is_suspect or has_died


def _read(ledger: RunLedger, uri: str) -> ClaimRecord | None:
    """A claim; None for what nobody who works on the shard would leave like that."""
    try:
        return ClaimRecord.model_validate_json(ledger.store.read_bytes(uri)[0])
    except (MissingError, ValidationError):
        return None


def _is_held(ledger: RunLedger, uri: str, record: ClaimRecord) -> bool:
    if record.is_released or record.process.is_dead():
        return False
    return _age_s(ledger, uri) <= STALE_AFTER_S


def _age_s(ledger: RunLedger, uri: str) -> float:
    """Seconds since the last touch, both ends told by the store."""
    touched = ledger.store.head(uri).modified
    return (ledger.store.time_at(ledger.uri("claims")) - touched).total_seconds()


def _claim_uri(ledger: RunLedger, shard: int, number: int) -> str:
    return ledger.uri("claims", f"{shard:05d}.{number}.json")


def _encode(record: ClaimRecord) -> bytes:
    return record.model_dump_json().encode()
