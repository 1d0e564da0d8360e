"""What a run planned and what came of it, as objects under the output: the record of truth.

    runs/<run_id>/plan/00000.parquet      normalised rows, one file a shard, never changed
    runs/<run_id>/job.json                written last and create-once: the plan is complete
    runs/<run_id>/results/00000.parquet   outcomes, create-once: the shard is done

A scheduler's database may forget; these objects do not (docs/adr/0002).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from stylecore.batch.extra import ExtraColumns, fit_value
from stylecore.batch.fingerprint import Style
from stylecore.batch.outcome import (
    Outcome,
    latest_outcomes,
    outcomes_from_table,
    outcomes_to_table,
)
from stylecore.batch.parquet import decode_table, encode_table
from stylecore.batch.planning import PlannedRow, ShardRows
from stylecore.batch.store import Store
from stylecore.batch.uris import check_folder, is_s3, join_uri, safe_stem
from stylecore.config import StylizeJob
from stylecore.errors import JobError, MissingError, RowError
from stylecore.settings import FrozenModel

_PLAN_FIELDS: Final = [
    pa.field("row_id", pa.string(), nullable=False),
    pa.field("content_uri", pa.string(), nullable=False),
    pa.field("content_version", pa.string()),
    pa.field("style", pa.string(), nullable=False),
    pa.field("style_uri", pa.string(), nullable=False),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("mask_uris", pa.list_(pa.string())),
]
_ROW_FIELDS: Final = ("row_id", "content_uri", "content_version", "error_code", "error_message")
_RESULT_NAME: Final = re.compile(r"(\d{5,})(?:\.retry(\d+))?\.parquet\Z")
_S3_CLOCK_TICK_S: Final = 1.0  # object stores tell modification times in whole seconds
_LOCAL_CLOCK_TICK_S: Final = 0.02


class PlannedStyle(FrozenModel):
    """A style as planned; ``digest`` is null where rows bring their own; masks as in ``Style``."""

    name: str
    uris: tuple[str, ...]
    weights: tuple[float, ...]
    digest: str | None = None
    masks: tuple[str | None, ...] = ()

    def style(self) -> Style:
        """The same without its digest."""
        return Style(self.name, self.uris, self.weights, self.masks)


class PlannedShard(FrozenModel):
    """One file under ``plan/``."""

    style_index: int
    rows: int


class RunRecord(FrozenModel):
    """``job.json``: the resolved job, and the digests of everything that went in."""

    run_id: str
    created_at: datetime
    versions: dict[str, str]
    job: StylizeJob
    manifest_digest: str
    inputs_digest: str
    rows: int
    planned: int
    duplicates: int
    rejected: dict[str, int]
    rows_per_shard: int
    styles: tuple[PlannedStyle, ...]
    shards: tuple[PlannedShard, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """The rows of one plan file, ready to be worked on."""

    number: int
    attempt: int
    style: PlannedStyle
    rows: Sequence[PlannedRow]
    extra_schema: pa.Schema


class RunLedger:
    """Reads and writes the objects of one run.

    Args:
        store: where the objects are.
        output_uri: the job's output folder.
        run_id: the run's name.
    """

    def __init__(self, store: Store, output_uri: str, run_id: str) -> None:
        self.store = store
        self.output_uri = output_uri
        self.run_id = run_id
        self.run_uri = join_uri(output_uri, "runs", run_id)

    def uri(self, *parts: str) -> str:
        """An object of this run."""
        return join_uri(self.run_uri, *parts)

    @cached_property
    def record(self) -> RunRecord:
        """What was planned.

        Raises:
            JobError: there is no such run.
        """
        try:
            data, _ = self.store.read_bytes(self.uri("job.json"))
        except MissingError as error:
            raise JobError(
                f"{self.run_uri}: there is no run here. A run's URI is <output>/runs/<run id>, "
                "as `stylebatch run` prints it last."
            ) from error
        return RunRecord.model_validate_json(data)

    @cached_property
    def planned_at(self) -> datetime:
        """When the plan was complete, by the store's own clock."""
        return self.store.head(self.uri("job.json")).modified

    def is_planned(self) -> bool:
        """Whether the plan is complete."""
        return self.store.exists(self.uri("job.json"))

    def write_shard_plan(self, shard: ShardRows, style: Style, extra: ExtraColumns) -> None:
        """Write one plan file; writing it again writes the same."""
        names, schema = extra.names(), extra.schema()
        columns: dict[str, list[Any]] = {
            field.name: [getattr(row, field.name, None) for row in shard.rows]
            for field in _PLAN_FIELDS
        }
        columns["style"] = [style.name] * len(shard.rows)
        columns["style_uri"] = [style.uri] * len(shard.rows)
        for name, column in names.items():
            kind = schema.field(column).type
            columns[column] = [fit_value(row.extra.get(name), kind) for row in shard.rows]
        table = pa.Table.from_pydict(columns, schema=pa.schema([*_PLAN_FIELDS, *schema]))
        self.store.write_bytes(self.uri("plan", f"{shard.number:05d}.parquet"), encode_table(table))

    def complete_plan(self, record: RunRecord) -> None:
        """Write ``job.json``, if nobody has, and let the store's clock move past it.

        A picture is ``skipped`` when it is not younger than the plan; the pause keeps one of this
        run from being as old as its plan, also where another process was first just now.
        """
        text = record.model_dump_json(indent=2)
        self.store.create_once(self.uri("job.json"), text.encode())
        time.sleep(_S3_CLOCK_TICK_S if is_s3(self.output_uri) else _LOCAL_CLOCK_TICK_S)

    def read_shard(self, number: int) -> Shard:
        """The rows of a plan file, for the first attempt."""
        data, _ = self.store.read_bytes(self.uri("plan", f"{number:05d}.parquet"))
        table = decode_table(data)
        own = {field.name for field in _PLAN_FIELDS}
        extra_schema = pa.schema([f for f in table.schema if f.name not in own])
        rows = [_planned_row(line, extra_schema.names) for line in table.to_pylist()]
        if len(rows) != self.record.shards[number].rows:
            raise JobError(f"{self.run_uri}: plan file {number:05d} is not the planned one")
        style = self.record.styles[self.record.shards[number].style_index]
        return Shard(number, 1, style, rows, extra_schema)

    def read_failed_rows(
        self, number: int, is_wanted: Callable[[Outcome], bool] = Outcome.has_failed
    ) -> Shard | None:
        """The rows of a shard whose latest outcome is a failure, or None; for the next attempt.

        What planning refused stays refused: another job, not another try, changes that.

        Args:
            number: of the shard.
            is_wanted: which outcomes, failures all, are worth another attempt.
        """
        latest = self.outcomes_of(number)
        failed = {outcome.row_id for outcome in latest if is_wanted(outcome)}
        if not failed:
            return None
        shard = self.read_shard(number)
        rows = [row for row in shard.rows if row.row_id in failed and row.error_code is None]
        if not rows:
            return None
        # One more than any row's: attempts at other rows have files of results of their own.
        attempt = max(outcome.attempt for outcome in latest) + 1
        return Shard(number, attempt, shard.style, rows, shard.extra_schema)

    def result_files(self) -> dict[int, list[str]]:
        """The results files of every shard that is done, first attempts first."""
        found: dict[int, list[tuple[int, str]]] = {}
        for info in self.store.list_objects(self.uri("results") + "/"):
            name = _RESULT_NAME.search(info.uri)
            if name:
                found.setdefault(int(name[1]), []).append((int(name[2] or 0), info.uri))
        return {number: [uri for _, uri in sorted(found[number])] for number in sorted(found)}

    def has_results(self, number: int) -> bool:
        """Whether a shard is done: one question, however many shards the run has."""
        return self.store.exists(self.uri("results", f"{number:05d}.parquet"))

    def pending_shards(self) -> list[int]:
        """Numbers of the shards without results, in order."""
        done = self.result_files()
        return [number for number in range(len(self.record.shards)) if number not in done]

    def write_results(self, shard: Shard, outcomes: Sequence[Outcome]) -> bool:
        """Write a shard's outcomes: whole, last, and once.

        Returns:
            False if somebody else's results were there already; theirs stand.
        """
        if len(outcomes) != len(shard.rows):
            raise AssertionError(f"shard {shard.number}: {len(outcomes)} of {len(shard.rows)} rows")
        suffix = f".retry{shard.attempt - 1}" if shard.attempt > 1 else ""
        uri = self.uri("results", f"{shard.number:05d}{suffix}.parquet")
        table = outcomes_to_table(outcomes, shard.extra_schema)
        return self.store.create_once(uri, encode_table(table))

    def outcomes_of(self, number: int, files: Sequence[str] | None = None) -> list[Outcome]:
        """The latest outcome of every row of a shard; the one way to read results."""
        uris = self.result_files().get(number, []) if files is None else files
        return latest_outcomes(self._read_outcomes(uris))

    def outcomes(self) -> Iterator[Outcome]:
        """The latest outcome of every row that has one, shard by shard."""
        for number, files in self.result_files().items():
            yield from self.outcomes_of(number, files)

    def _read_outcomes(self, uris: Iterable[str]) -> Iterator[Outcome]:
        for uri in uris:
            data, _ = self.store.read_bytes(uri)
            yield from outcomes_from_table(decode_table(data))

    def write_progress(self, shard: int, counts: Mapping[str, Any]) -> None:
        """Say how far a shard is; meaningless once its results exist."""
        data = json.dumps(counts).encode()
        self.store.write_bytes(self.uri("progress", f"{shard:05d}.json"), data, "application/json")

    def read_progress(self) -> dict[int, dict[str, Any]]:
        """The last word of every shard on how far it is."""
        listing = self.store.list_objects(self.uri("progress") + "/")
        return {n: self.read_progress_of(n) for n in [int(safe_stem(i.uri)) for i in listing]}

    def read_progress_of(self, number: int) -> dict[str, Any]:
        """The last word of a shard on how far it is; empty where it said nothing."""
        try:
            data, _ = self.store.read_bytes(self.uri("progress", f"{number:05d}.json"))
        except MissingError:
            return {}
        return dict(json.loads(data))


def open_ledger(store: Store, run_uri: str) -> RunLedger:
    """The ledger of an existing run.

    Raises:
        JobError: the URI does not name a run.
    """
    try:
        output_uri, _, run_id = check_folder(run_uri).rpartition("/runs/")
    except RowError as error:
        raise JobError(str(error)) from error
    if not output_uri or "/" in run_id:
        raise JobError(f"{run_uri}: not a run's URI. It looks like <output>/runs/<run id>.")
    ledger = RunLedger(store, output_uri, run_id)
    _ = ledger.record
    return ledger


def utc_now() -> datetime:
    """Now, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def _planned_row(line: dict[str, Any], extra_names: list[str]) -> PlannedRow:
    own = {name: line[name] for name in _ROW_FIELDS}
    masks = tuple(line.get("mask_uris") or ())  # plans of before there were masks have none
    return PlannedRow(**own, mask_uris=masks, extra={name: line[name] for name in extra_names})
