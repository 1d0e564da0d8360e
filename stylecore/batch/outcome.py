"""What came of one row, and its columns in the results Parquet.

A (row_id, style) pair is one line. Figures are null unless known; ``finished_at`` is UTC. Where a
refiner went over the picture, ``refine_alpha`` is its strength, 0 if the gate rejected it, and the
figures ``_unrefined`` are those before. The
manifest's unknown columns follow the fixed ones, prefixed with ``row_`` where the names clash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import pyarrow as pa

from stylecore.errors import PASSING_CODES

Status = Literal["made", "skipped", "failed"]
MAX_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the results: what was asked for, what came of it, and how good it is."""

    row_id: str
    content_uri: str
    style: str
    style_uri: str
    status: Status
    shard: int
    attempt: int = 1
    content_version: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    output_uri: str | None = None
    output_sha256: str | None = None
    fingerprint: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    seconds: float | None = None
    evaluations: int | None = None
    content_loss: float | None = None
    style_loss: float | None = None
    total_loss: float | None = None
    lpips_content: float | None = None
    ssim_content: float | None = None
    psnr_content: float | None = None
    refine_alpha: float | None = None
    fdrl: float | None = None
    fdrl_unrefined: float | None = None
    lpips_unrefined: float | None = None
    ssim_unrefined: float | None = None
    device: str | None = None
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    extra: Mapping[str, Any] = field(default_factory=dict)

    def has_failed(self) -> bool:
        """Whether there is no picture."""
        return self.status == "failed"

    def may_pass(self) -> bool:
        """Whether it failed for a reason that may be gone, and was not tried too often yet."""
        return self.error_code in PASSING_CODES and self.attempt < MAX_ATTEMPTS


_FIELDS: Final[list[pa.Field[Any]]] = [
    pa.field("row_id", pa.string(), nullable=False),
    pa.field("content_uri", pa.string(), nullable=False),
    pa.field("content_version", pa.string()),
    pa.field("style", pa.string(), nullable=False),
    pa.field("style_uri", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("output_uri", pa.string()),
    pa.field("output_sha256", pa.string()),
    pa.field("fingerprint", pa.string()),
    pa.field("width_px", pa.int32()),
    pa.field("height_px", pa.int32()),
    pa.field("seconds", pa.float64()),
    pa.field("evaluations", pa.int32()),
    pa.field("content_loss", pa.float64()),
    pa.field("style_loss", pa.float64()),
    pa.field("total_loss", pa.float64()),
    pa.field("lpips_content", pa.float64()),
    pa.field("ssim_content", pa.float64()),
    pa.field("psnr_content", pa.float64()),
    pa.field("refine_alpha", pa.float64()),
    pa.field("fdrl", pa.float64()),
    pa.field("fdrl_unrefined", pa.float64()),
    pa.field("lpips_unrefined", pa.float64()),
    pa.field("ssim_unrefined", pa.float64()),
    pa.field("device", pa.string()),
    pa.field("attempt", pa.int32(), nullable=False),
    pa.field("shard", pa.int32(), nullable=False),
    pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
]
OUTCOME_SCHEMA: Final = pa.schema(_FIELDS)
_OWN_NAMES: Final = frozenset(OUTCOME_SCHEMA.names)


def outcomes_to_table(outcomes: Sequence[Outcome], extra_schema: pa.Schema) -> pa.Table:
    """Lines of a results file; ``extra_schema`` gives every shard of a run the same columns."""
    columns: dict[str, list[Any]] = {
        name: [getattr(outcome, name) for outcome in outcomes] for name in OUTCOME_SCHEMA.names
    }
    for name in extra_schema.names:
        columns[name] = [outcome.extra.get(name) for outcome in outcomes]
    schema = pa.schema([*OUTCOME_SCHEMA, *extra_schema])
    return pa.Table.from_pydict(columns, schema=schema)


def outcomes_from_table(table: pa.Table) -> Iterator[Outcome]:
    """The lines of a results file, in its order."""
    for line in table.to_pylist():
        own = {key: value for key, value in line.items() if key in _OWN_NAMES}
        extra = {key: value for key, value in line.items() if key not in _OWN_NAMES}
        yield Outcome(**own, extra=extra)


def latest_outcomes(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """For every (row_id, style) the outcome with the highest attempt, in first-seen order."""
    latest: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.row_id, outcome.style)
        if key not in latest or outcome.attempt > latest[key].attempt:
            latest[key] = outcome
    return list(latest.values())
