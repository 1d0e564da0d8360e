"""Reads a run again: every outcome has its picture, nothing is missing, and the totals add up.

The ledger is the record of truth, so what is checked is whether it is true: the plan against the
results, and the results against the pictures, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

from stylecore.batch.fingerprint import style_folder
from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.errors import MissingError, RowError

_READERS: Final = 8
FindingKind = Literal["missing", "changed", "unreadable", "unplanned", "unaccounted"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the ledger that is not true.

    Attributes:
        kind: ``missing``, ``changed`` or ``unreadable`` pictures; ``unplanned`` outcomes, of rows
            that the plan does not have or has once; ``unaccounted`` rows, whose shard is called
            done without an outcome of theirs.
        shard: whose results say it.
        row: and style, in words.
        uri: of the picture.
    """

    kind: FindingKind
    shard: int
    row: str
    uri: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.kind}: {self.row}", self.uri)))


def verify_shard(
    ledger: RunLedger, number: int, files: Sequence[str], on_row: Callable[[], object]
) -> Iterator[Finding]:
    """Check the results of one shard.

    Args:
        ledger: the run.
        number: of a shard that has results.
        files: its results files.
        on_row: called for each row that was checked.

    Yields:
        What is not true, in the plan's order.
    """
    outcomes = ledger.outcomes_of(number, files)
    planned = Counter(row.row_id for row in ledger.read_shard(number).rows)
    found = Counter(outcome.row_id for outcome in outcomes)
    style = ledger.record.styles[ledger.record.shards[number].style_index].name
    for row_id in (found - planned).elements():
        yield Finding("unplanned", number, f"row {row_id}, {style}")
    for row_id in (planned - found).elements():
        yield Finding("unaccounted", number, f"row {row_id}, {style}")
    with ThreadPoolExecutor(_READERS, thread_name_prefix="verify") as pool:
        for finding in pool.map(lambda outcome: _check_picture(ledger, outcome), outcomes):
            on_row()
            if finding is not None:
                yield finding


def _check_picture(ledger: RunLedger, outcome: Outcome) -> Finding | None:
    if outcome.status == "failed" or outcome.output_uri is None:
        return None
    kind = _picture_fault(ledger, outcome.output_uri, outcome.output_sha256)
    row = f"row {outcome.row_id}, {outcome.style}"
    return None if kind is None else Finding(kind, outcome.shard, row, outcome.output_uri)


def _picture_fault(ledger: RunLedger, uri: str, sha256: str | None) -> FindingKind | None:
    """What is wrong with a picture; of one that was there before the run no digest is known."""
    try:
        if sha256 is None:
            ledger.store.head(uri)
            return None
        data, _ = ledger.store.read_bytes(uri)
    except MissingError:
        return "missing"
    except RowError:
        return "unreadable"
    return None if hashlib.sha256(data).hexdigest() == sha256 else "changed"


def unnamed_pictures(ledger: RunLedger) -> Iterator[str]:
    """Pictures of the run's styles that are younger than its plan and that no outcome names.

    They are of other runs, or of shards that are not done: nothing is wrong with them.
    """
    named = {outcome.output_uri for outcome in ledger.outcomes()}
    for name in dict.fromkeys(style.name for style in ledger.record.styles):
        for info in ledger.store.list_objects(style_folder(ledger.output_uri, name)):
            if info.modified >= ledger.planned_at and info.uri not in named:
                yield info.uri


def set_back(ledger: RunLedger, findings: Sequence[Finding]) -> list[int]:
    """Make the shards with findings pending again; pictures that are true are found and kept.

    A picture that cannot be read now is left alone: that may pass. The results go last: whoever is
    interrupted before finds the same again.

    Args:
        ledger: the run.
        findings: of ``verify_shard``.

    Returns:
        The numbers of the shards.
    """
    wrong = [finding for finding in findings if finding.kind != "unreadable"]
    for finding in wrong:
        if finding.kind == "changed":
            ledger.store.delete(finding.uri)
    shards = sorted({finding.shard for finding in wrong})
    files = ledger.result_files()
    for number in shards:
        for uri in reversed(files.get(number, [])):
            ledger.store.delete(uri)
    return shards
