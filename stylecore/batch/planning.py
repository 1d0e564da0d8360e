"""From a manifest to shards: every row checked, duplicates dropped, equal styles together.

A manifest is read twice from its local spool. The first pass accepts it whole or not at all, finds
duplicates and counts; the second writes rows out shard by shard. Memory: 37 bytes a row, twice
that while they are sorted, the distinct styles, and the rows of unfinished shards, for which the
manifest is read more often where they would be too many.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn

import numpy as np

from stylecore.batch.duplicates import ALL_STYLES, Keys, Mask, first_pictures, first_uses
from stylecore.batch.extra import ExtraColumns
from stylecore.batch.fingerprint import Style, StyleSources, name_styles, to_shares
from stylecore.batch.manifest import ManifestRow, SpooledManifest, read_rows
from stylecore.batch.uris import AllowList, check_uri, resolve, without_secrets
from stylecore.errors import BadRequestError, JobError

MaskRule = Literal["optional", "required", "refused"]
_BUFFERED_ROWS: Final = 200_000
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One picture to make, or the reason why it cannot be.

    ``mask_uris`` say where each painting of the style goes, in their order; an empty one is
    everywhere, and none at all means no masks.
    """

    row_id: str
    content_uri: str
    content_version: str | None
    error_code: str | None
    error_message: str | None
    extra: dict[str, Any]
    mask_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardRows:
    """Rows that share style and settings."""

    number: int
    style_index: int
    rows: list[PlannedRow]


@dataclass(slots=True)
class Scan:
    """What the first pass learned of a manifest."""

    styles: list[Style]
    job_styles: int
    extra: ExtraColumns
    rows: int = 0
    planned: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    reject_examples: list[str] = field(default_factory=list)
    rows_of_style: list[int] = field(default_factory=list)
    kept: Mask = field(default_factory=lambda: np.zeros(0, bool))


class RowReader:
    """Resolves a manifest's rows against its folder, the job's styles and the allow-list.

    Args:
        manifest: the rows.
        job_styles: of rows that name none; all have the same number of paintings.
        allowed: what rows may name.
        masks: whether every row has to name masks, or none may.
    """

    def __init__(
        self,
        manifest: SpooledManifest,
        job_styles: Sequence[StyleSources],
        allowed: AllowList,
        masks: MaskRule = "optional",
    ) -> None:
        self.manifest = manifest
        self.allowed = allowed
        self.masks = masks
        self.job_paintings = len(job_styles[0][0]) if job_styles else 0
        self.sources: dict[StyleSources, int] = {s: i for i, s in enumerate(job_styles)}
        self.job_styles = tuple(range(len(self.sources)))

    def __iter__(self) -> Iterator[tuple[ManifestRow, PlannedRow, tuple[int, ...]]]:
        """Each row as read, as planned, and the indices of its styles."""
        for rows in read_rows(self.manifest):
            for row in rows:
                error: BadRequestError | None = None
                styles, style_error = self._styles_of(row)
                masks, mask_error = self._masks_of(row)
                try:
                    uri = self._resolve(row.content_uri)
                except BadRequestError as refused:
                    uri, error = without_secrets(row.content_uri), refused
                yield row, _planned(row, uri, masks, error or style_error or mask_error), styles

    def _resolve(self, uri: str) -> str:
        resolved = check_uri(resolve(uri, self.manifest.base_uri))
        self.allowed.check(resolved)
        return resolved

    def _styles_of(self, row: ManifestRow) -> tuple[tuple[int, ...], BadRequestError | None]:
        if not row.style_uris:
            if not self.job_styles:
                raise JobError(
                    f"{self.manifest.uri}: row {row.number + 1} names no style and the job has "
                    "none. Give --style, or a style_uri in every row."
                )
            return self.job_styles, None
        uris, error = self._resolve_all(row.style_uris)
        key = (uris, to_shares(row.style_weights or (1.0,) * len(uris)))
        return (self.sources.setdefault(key, len(self.sources)),), error

    def _masks_of(self, row: ManifestRow) -> tuple[tuple[str, ...], BadRequestError | None]:
        if not row.mask_uris:
            if self.masks == "required":
                self._refuse_masks(row, "names no mask_uri, which regions need")
            return (), None
        if self.masks == "refused":
            self._refuse_masks(row, "names a mask_uri, which no cascade and no generator takes")
        num_paintings = len(row.style_uris) or self.job_paintings
        if len(row.mask_uris) != num_paintings:
            # Of several styles without regions, each makes a picture of its own.
            many = f"names {len(row.mask_uris)} mask_uri for a style of {num_paintings}"
            self._refuse_masks(row, f"{many} (with regions, all styles are one)")
        # Everywhere is what a style without masks is.
        return self._resolve_all(row.mask_uris) if any(row.mask_uris) else ((), None)

    def _refuse_masks(self, row: ManifestRow, reason: str) -> NoReturn:
        raise JobError(
            f"{self.manifest.uri}: row {row.number + 1} {reason}. A row with masks names one for "
            "each painting of its style, in their order; null in a list is everywhere."
        )

    def _resolve_all(self, uris: Sequence[str]) -> tuple[tuple[str, ...], BadRequestError | None]:
        """Whole URIs, those that are refused or empty as they are, and the last refusal."""
        error: BadRequestError | None = None
        resolved = []
        for uri in uris:
            try:
                resolved.append(uri and self._resolve(uri))
            except BadRequestError as refused:
                resolved.append(without_secrets(uri))
                error = refused
        return tuple(resolved), error


def _planned(
    row: ManifestRow, uri: str, masks: tuple[str, ...], error: BadRequestError | None
) -> PlannedRow:
    return PlannedRow(
        row_id=row.id if row.id is not None else str(row.number),
        content_uri=uri,
        content_version=row.version,
        error_code=error.code if error else None,
        error_message=str(error) if error else None,
        extra=row.extra,
        mask_uris=masks,
    )


def scan_manifest(reader: RowReader) -> Scan:
    """First pass: accept or refuse the whole manifest, find duplicates, count.

    Raises:
        JobError: a row cannot be read, an id is repeated, a row has no style, or its masks are
            not one for each painting.
    """
    scan = Scan([], len(reader.job_styles), ExtraColumns())
    contents, ids, refusals = Keys(), Keys(), _Refusals()
    style_of_row = array("i")
    for row, planned, styles in reader:
        scan.rows += 1
        contents.add("\0".join((planned.content_uri, *planned.mask_uris)))
        ids.add(planned.row_id)
        scan.extra.add(planned.extra)
        refusals.add(row.number, planned)
        style_of_row.append(ALL_STYLES if styles is reader.job_styles else styles[0])
    own_style = np.array(style_of_row, np.int32)
    scan.kept = first_pictures(contents.digests(), own_style, scan.job_styles)
    scan.duplicates = scan.rows - int(scan.kept.sum())
    _refuse_repeated_ids(reader, first_uses(ids.digests(), scan.kept), scan.kept)
    scan.styles = name_styles(list(reader.sources))
    _count_pictures(scan, own_style, refusals)
    return scan


def _count_pictures(scan: Scan, style_of_row: np.ndarray[Any, Any], refusals: _Refusals) -> None:
    """Pictures of each style, and what is refused among them."""
    own = style_of_row[scan.kept]
    counts = np.bincount(own[own >= 0], minlength=len(scan.styles))
    counts[: scan.job_styles] += int((own < 0).sum())
    scan.rows_of_style = counts.tolist()
    scan.planned = int(counts.sum())
    pictures = np.where(style_of_row < 0, scan.job_styles, 1) * scan.kept
    scan.rejected, scan.reject_examples = refusals.count(pictures), refusals.examples


class _Refusals:
    """Which rows are refused, by code: a byte a row."""

    def __init__(self) -> None:
        self._codes = [""]
        self._of_row = bytearray()
        self.examples: list[str] = []

    def add(self, number: int, planned: PlannedRow) -> None:
        code = planned.error_code or ""
        if code not in self._codes:
            self._codes.append(code)
        self._of_row.append(self._codes.index(code))
        if code and len(self.examples) < _EXAMPLES:
            self.examples.append(f"row {number + 1}: {planned.error_message}")

    def count(self, weights: np.ndarray[Any, Any]) -> Counter[str]:
        """Pictures refused, by code; ``weights`` is the number of pictures of every row."""
        totals = np.bincount(np.frombuffer(self._of_row, np.uint8), weights, len(self._codes))
        return Counter({c: int(n) for c, n in zip(self._codes, totals, strict=True) if c and n})


def _refuse_repeated_ids(reader: RowReader, first: Mask, kept: Mask) -> None:
    repeated = np.flatnonzero(kept & ~first)
    if len(repeated):
        number = int(repeated[0])
        row_id = next(planned.row_id for row, planned, _ in reader if row.number == number)
        raise JobError(
            f"{reader.manifest.uri}: row {number + 1} repeats the id {row_id!r}. "
            "Every id must be its own; leave the column out to use row numbers."
        )


def cut_shards(reader: RowReader, scan: Scan, rows_per_shard: int) -> Iterator[ShardRows]:
    """Second reading: rows of one style together, ``rows_per_shard`` at most, in manifest order.

    Only the last shard of a style has fewer, however the styles take turns in the manifest.
    """
    number = 0
    for styles in _passes(scan, rows_per_shard):
        for style_index, rows in _cut_styles(reader, scan.kept, styles, rows_per_shard):
            yield ShardRows(number, style_index, rows)
            number += 1


def _passes(scan: Scan, rows_per_shard: int) -> Iterator[range]:
    """Styles to cut while reading the manifest once.

    First the job's, which share their rows; then as many as have few rows in unfinished shards.
    """
    start = buffered = 0
    for index, rows in enumerate(scan.rows_of_style):
        waiting = min(rows, rows_per_shard)
        if index < scan.job_styles:
            buffered = max(buffered, waiting)
            continue
        if buffered and buffered + waiting > _BUFFERED_ROWS:
            yield range(start, index)
            start, buffered = index, 0
        buffered += waiting
    if buffered:
        yield range(start, len(scan.rows_of_style))


def _cut_styles(
    reader: RowReader, kept: Mask, styles: range, rows_per_shard: int
) -> Iterator[tuple[int, list[PlannedRow]]]:
    buffers: dict[int, list[PlannedRow]] = {}
    for row, planned, styles_of_row in reader:
        if not kept[row.number]:
            continue
        for index in styles_of_row:
            if index not in styles:
                continue
            buffer = buffers.setdefault(index, [])
            buffer.append(planned)
            if len(buffer) >= rows_per_shard:
                yield index, buffers.pop(index)
    yield from sorted(buffers.items())


def refuse_if_all_rejected(scan: Scan, manifest_uri: str) -> None:
    """A job whose every row is refused by the allow-list is a wrong request.

    Raises:
        JobError: naming the first refused row, whose message names the prefix to allow.
    """
    if scan.rows and scan.rejected["not_allowed"] >= scan.planned > 0:
        raise JobError(f"{manifest_uri}: no row is allowed. {scan.reject_examples[0]}")
