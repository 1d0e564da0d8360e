"""Photographs that may end the process that makes them, as far as any run of an output knows.

    <output>/suspects/<digest of the photograph's URI>.json
    <output>/open/<run_id>    the run is being worked on, or was when its process died

The first are written of a row that ended a process, and of the rows in hand when one died; they are
removed once such a row is made. A run over a prefix that changed is another run: without them it
would meet the row as if for the first time, and die of it again every night (docs/adr/0009).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import chain
from typing import Final

from pydantic import ValidationError

from stylecore.batch.claims import stand_of_shards
from stylecore.batch.fingerprint import digest_of
from stylecore.batch.ledger import RunLedger, utc_now
from stylecore.batch.outcome import Outcome
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri, safe_stem
from stylecore.errors import CrashedError, MissingError, OutOfMemoryError, RowError
from stylecore.settings import FrozenModel

_ERRORS: Final = {kind.code: kind for kind in (CrashedError, OutOfMemoryError)}
DEADLY_CODES: Final = _ERRORS.keys()
_FOLDER: Final = "suspects"
_OPEN_FOLDER: Final = "open"


class Suspect(FrozenModel):
    """``suspects/<digest>.json``.

    Attributes:
        content_uri: of the photograph.
        run_uri: in which it came under suspicion.
        error_code: under which its row failed; None where it was in hand when a process died.
        error_message: the reason.
        noted_at: when, in UTC.
    """

    content_uri: str
    run_uri: str
    error_code: str | None = None
    error_message: str | None = None
    noted_at: datetime

    def error_in(self, run_uri: str) -> RowError | None:
        """Why it is set aside in a run: it ended a process there already."""
        kind = _ERRORS.get(self.error_code or "")
        if kind is None or self.run_uri != run_uri:
            return None
        return kind("", self.error_message or "")


def begin_work(run: RunLedger) -> None:
    """Mark a run as being worked on, and suspect what earlier ones had in hand when they died.

    Raises:
        RowError: the store cannot be asked.
    """
    folder = join_uri(run.output_uri, _OPEN_FOLDER)
    for info in list(run.store.list_objects(f"{folder}/")):
        run_id = info.uri.rpartition("/")[2]
        if run_id != run.run_id and _suspect_rows_in_hand(run, run_id):
            run.store.delete(info.uri)
    run.store.write_bytes(join_uri(folder, run.run_id), b"")


def end_work(run: RunLedger) -> None:
    """Mark a run as complete."""
    run.store.delete(join_uri(run.output_uri, _OPEN_FOLDER, run.run_id))


def _suspect_rows_in_hand(current: RunLedger, run_id: str) -> bool:
    """Note them; returns whether nobody works on that run any more."""
    run = RunLedger(current.store, current.output_uri, run_id)
    if not run.is_planned():
        return True  # it was pruned
    suspects, stands = Suspects(run.store, run.output_uri), stand_of_shards(run)
    died = [shard for shard, stand in stands.items() if stand == "died"]
    for row in chain.from_iterable(run.read_shard(shard).rows for shard in died):
        if row.error_code is None:
            suspects.note(row.content_uri, run.run_uri)
    return "held" not in stands.values()


class Suspects:
    """The suspects of an output.

    Args:
        store: where the objects are.
        output_uri: the output folder.
    """

    def __init__(self, store: Store, output_uri: str) -> None:
        self._store = store
        self._folder = join_uri(output_uri, _FOLDER)

    def among(self, rows: Iterable[tuple[int, str]]) -> dict[int, Suspect]:
        """Which rows are suspect; one listing where none is.

        Args:
            rows: their places, and the URIs of their photographs.
        """
        names = {safe_stem(info.uri) for info in self._store.list_objects(f"{self._folder}/")}
        named = [(place, uri) for place, uri in rows if names and _name(uri) in names]
        found = {place: self._read(uri) for place, uri in named}
        return {place: suspect for place, suspect in found.items() if suspect is not None}

    def note(self, content_uri: str, run_uri: str, outcome: Outcome | None = None) -> None:
        """Remember a photograph: with the outcome of its row, or as in hand when a process died."""
        suspect = Suspect(
            content_uri=content_uri,
            run_uri=run_uri,
            error_code=outcome.error_code if outcome else None,
            error_message=outcome.error_message if outcome else None,
            noted_at=utc_now(),
        )
        data = suspect.model_dump_json(indent=2).encode()
        self._store.write_bytes(self._uri(content_uri), data, "application/json")

    def clear(self, content_uri: str) -> None:
        """Forget one, which did no harm."""
        self._store.delete(self._uri(content_uri))

    def _uri(self, content_uri: str) -> str:
        return join_uri(self._folder, f"{_name(content_uri)}.json")

    def _read(self, content_uri: str) -> Suspect | None:
        try:
            data, _ = self._store.read_bytes(self._uri(content_uri))
            suspect = Suspect.model_validate_json(data)
        except (MissingError, ValidationError):  # cleared since, or none of ours
            return None
        return suspect if suspect.content_uri == content_uri else None


def _name(content_uri: str) -> str:
    return digest_of(content_uri)[:16]
