"""Photographs that may end the process that makes them, as far as any run of an output knows.

    <output>/deaths/<digest of the photograph's URI>.json
    <output>/deaths/open/<run_id>    who works on the run, or did when it died

The first are written of a row that ended a process, and of the rows in hand when one died; they are
removed once such a row is made. A run over a prefix that changed is another run: without them it
would meet the row as if for the first time, and die of it again every night (docs/adr/0009). They
are a help only: whatever is wrong with them, or with another run, the work goes on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from stylecore.batch.claims import stand_of_shards
from stylecore.batch.fingerprint import digest_of
from stylecore.batch.ledger import RunLedger, utc_now
from stylecore.batch.objects import ObjectInfo
from stylecore.batch.outcome import Outcome
from stylecore.batch.processes import ProcessName, this_process
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri, safe_stem
from stylecore.errors import (
    CrashedError,
    ForbiddenError,
    MissingError,
    OutOfMemoryError,
    RowError,
)
from stylecore.settings import FrozenModel

_ERRORS: Final = {kind.code: kind for kind in (CrashedError, OutOfMemoryError)}
DEADLY_CODES: Final = _ERRORS.keys()
_UNTOUCHED_CODES: Final = (MissingError.code, ForbiddenError.code)  # nobody looked into the file
_JSON: Final = "application/json"
_WRITERS: Final = 16
_STARTING_S: Final = 600.0  # a run on another machine may take so long to its first claim
_is_run_id: Final = re.compile(r"[0-9a-f]{16}").fullmatch
_log = logging.getLogger(__name__)


class Suspect(FrozenModel):
    """``deaths/<digest>.json``.

    Attributes:
        content_uri: of the photograph.
        style_uri: in which it came under suspicion.
        run_uri: and in which run.
        error_code: under which its row failed; None where it was in hand when a process died.
        error_message: the reason.
        noted_at: when, in UTC.
    """

    content_uri: str
    style_uri: str = ""
    run_uri: str = ""
    error_code: str | None = None
    error_message: str | None = None
    noted_at: datetime

    def error_in(self, run_uri: str) -> RowError | None:
        """Why it is set aside in a run: it ended a process there already."""
        kind = _ERRORS.get(self.error_code or "")
        if kind is None or self.run_uri != run_uri:
            return None
        return kind("", self.error_message or "")

    def is_cleared_by(self, outcome: Outcome) -> bool:
        """Whether a row shows that it does no harm; in another style it may still do some."""
        if outcome.style_uri != self.style_uri:
            return False
        is_untouched = outcome.may_pass() or outcome.error_code in _UNTOUCHED_CODES
        return not is_untouched and outcome.error_code not in DEADLY_CODES


class _Marker(FrozenModel):
    """``deaths/open/<run_id>``: who works on the run."""

    process: ProcessName


def begin_work(run: RunLedger) -> None:
    """Mark a run as being worked on, and suspect what dead processes of any run had in hand."""
    with _only_a_help("what ended earlier runs is not known"):
        for info in list(run.store.list_objects(f"{_open_folder(run)}/")):
            _look_at(run, info)
        marker = _Marker(process=this_process()).model_dump_json().encode()
        run.store.write_bytes(join_uri(_open_folder(run), run.run_id), marker)


def end_work(run: RunLedger) -> None:
    """Mark a run as complete."""
    with _only_a_help("the run stays marked as open"):
        run.store.delete(join_uri(_open_folder(run), run.run_id))


@contextmanager
def _only_a_help(consequence: str) -> Iterator[None]:
    """Whatever is wrong in here must not end the work."""
    try:
        yield
    except Exception as error:
        _log.warning("%s: %s: %s", consequence, type(error).__name__, error)


def _open_folder(run: RunLedger) -> str:
    return join_uri(run.output_uri, "deaths", "open")


def _look_at(current: RunLedger, info: ObjectInfo) -> None:
    """Suspect what a run had in hand where its process died; forget it where nobody is at it."""
    run_id = info.uri.removeprefix(f"{_open_folder(current)}/")
    if not _is_run_id(run_id):
        return
    run = RunLedger(current.store, current.output_uri, run_id)
    try:
        is_over = not run.is_planned() or not _suspect_rows_in_hand(run)
    except RowError as error:
        _log.warning("%s: %s", run.run_uri, error)
        return
    except Exception as error:  # another version's plan, or half of one that is being removed
        _log.warning("%s: %s: %s", run.run_uri, type(error).__name__, error)
        is_over = True
    if is_over and run_id != current.run_id and not _is_starting(current, info):
        current.store.delete(info.uri)


def _suspect_rows_in_hand(run: RunLedger) -> bool:
    """Note them; returns whether somebody still works on the run."""
    suspects, stands = Suspects(run.store, run.output_uri), stand_of_shards(run)
    died = [run.read_shard(shard) for shard, stand in stands.items() if stand == "died"]
    rows = [
        (row.content_uri, shard.style.style().uri)
        for shard in died
        for row in shard.rows
        if row.error_code is None
    ]
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda row: suspects.note_in_hand(row[0], row[1], run.run_uri), rows))
    return "held" in stands.values()


def _is_starting(run: RunLedger, info: ObjectInfo) -> bool:
    """Whether a run that has no claim may be about to make its first."""
    try:
        marker = _Marker.model_validate_json(run.store.read_bytes(info.uri)[0])
    except (MissingError, ValidationError):
        return False
    if marker.process.machine == this_process().machine:
        return not marker.process.is_dead()
    age = run.store.time_at(run.uri("claims")) - info.modified
    return age.total_seconds() < _STARTING_S


class Suspects:
    """The suspects of an output.

    Args:
        store: where the objects are.
        output_uri: the output folder.
    """

    def __init__(self, store: Store, output_uri: str) -> None:
        self._store = store
        self._folder = join_uri(output_uri, "deaths")

    def among(self, rows: Iterable[tuple[int, str]]) -> dict[int, Suspect]:
        """Which rows are suspect; one listing where none is.

        Args:
            rows: their places, and the URIs of their photographs.
        """
        names = {safe_stem(info.uri) for info in self._store.list_objects(f"{self._folder}/")}
        named = [(place, uri) for place, uri in rows if names and _name(uri) in names]
        found = {place: self._read(uri) for place, uri in named}
        return {place: suspect for place, suspect in found.items() if suspect is not None}

    def note(self, outcome: Outcome, run_uri: str) -> None:
        """Remember a photograph whose row ended a process."""
        suspect = Suspect(
            content_uri=outcome.content_uri,
            style_uri=outcome.style_uri,
            run_uri=run_uri,
            error_code=outcome.error_code,
            error_message=outcome.error_message,
            noted_at=utc_now(),
        )
        with _only_a_help("what ended a process is not remembered"):
            self._store.write_bytes(self._uri(outcome.content_uri), _encode(suspect), _JSON)

    def note_in_hand(self, content_uri: str, style_uri: str, run_uri: str) -> None:
        """Remember one that was in hand when a process died, unless more is known of it."""
        suspect = Suspect(
            content_uri=content_uri, style_uri=style_uri, run_uri=run_uri, noted_at=utc_now()
        )
        self._store.create_once(self._uri(content_uri), _encode(suspect), _JSON)

    def clear(self, content_uri: str) -> None:
        """Forget one, which did no harm."""
        with _only_a_help("a row stays suspect"):
            self._store.delete(self._uri(content_uri))

    def _uri(self, content_uri: str) -> str:
        return join_uri(self._folder, f"{_name(content_uri)}.json")

    def _read(self, content_uri: str) -> Suspect | None:
        try:
            data, _ = self._store.read_bytes(self._uri(content_uri))
            suspect = Suspect.model_validate_json(data)
        except (MissingError, ValidationError):  # cleared since, or none of ours
            return None
        except RowError:  # there is a note, whatever it says
            return Suspect(content_uri=content_uri, noted_at=utc_now())
        return suspect if suspect.content_uri == content_uri else None


def _name(content_uri: str) -> str:
    return digest_of(content_uri)[:16]


def _encode(suspect: Suspect) -> bytes:
    return suspect.model_dump_json(indent=2).encode()
