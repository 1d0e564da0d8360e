"""One row of a manifest: which columns mean what, and what their values may be."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

CONTENT_COLUMNS: Final = ("content_uri", "uri", "file_name")
MAX_STYLE_WEIGHT: Final = 1000.0  # as in stylecore.config.StyleSource
_MAX_LAYOUTS: Final = 1000
_MAX_SHOWN_CHARS: Final = 200


class ManifestRow(NamedTuple):
    """One image to make, as its manifest says it; no URI is checked yet.

    Attributes:
        number: place in the manifest, from 0.
        id: the row's own name, or None.
        content_uri: URI, or a name relative to the manifest's folder.
        version: content version from a listing, or None.
        style_uris: styles of this row alone; empty means the job's.
        style_weights: a share for each of ``style_uris``, or empty for equal shares.
        mask_uris: where each painting of the row's style goes, in their order; an empty one is
            everywhere, and none at all means no masks.
        extra: the other columns, each value a string, number, bool or None.
    """

    number: int
    id: str | None
    content_uri: str
    version: str | None
    style_uris: tuple[str, ...]
    style_weights: tuple[float, ...]
    mask_uris: tuple[str, ...]
    extra: dict[str, Any]


class RowFault(Exception):  # noqa: N818 - never leaves the package; becomes a JobError with a line
    """What is wrong with a row, without saying where it is."""


class _Layout(NamedTuple):
    """Where the known columns stand among the values of a record."""

    content: int
    id: int | None
    style_uri: int | None
    style_weight: int | None
    mask_uri: int | None
    extra: tuple[tuple[str, int], ...]


class RowMaker:
    """Makes rows of records; a layout is worked out once for all records with the same columns."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[str, ...], _Layout] = {}

    def make(self, number: int, names: tuple[str, ...], values: Sequence[object]) -> ManifestRow:
        """Make one row of a record.

        Args:
            number: place in the manifest, from 0.
            names: the record's columns.
            values: one value for each column.

        Raises:
            RowFault: a column is missing or a value is not what it has to be.
        """
        content, id_at, style_at, weight_at, mask_at, extra = self._layouts.get(
            names
        ) or self._add_layout(names)
        uri = values[content]
        if not isinstance(uri, str) or not uri or uri.isspace():
            raise RowFault(f"{names[content]} must be a URI or a file name, not {_shown(uri)}")
        style_uris = () if style_at is None else _style_uris(values[style_at])
        weights = None if weight_at is None else values[weight_at]
        return ManifestRow(
            number,
            None if id_at is None else _row_id(values[id_at]),
            uri,
            None,
            style_uris,
            () if weights is None or weights == "" else _style_weights(weights, style_uris),
            () if mask_at is None else _mask_uris(values[mask_at], style_uris),
            {name: _plain(values[at]) for name, at in extra},
        )

    def _add_layout(self, names: tuple[str, ...]) -> _Layout:
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[names] = _find_columns(names)
        return layout


def _find_columns(names: tuple[str, ...]) -> _Layout:
    places = {name: at for at, name in enumerate(names)}
    if len(places) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise RowFault(f"the column {_shown(repeated)} stands there twice")
    content = next((name for name in CONTENT_COLUMNS if name in places), None)
    if content is None:
        raise RowFault(
            f"a column {', '.join(CONTENT_COLUMNS[:-1])} or {CONTENT_COLUMNS[-1]} is needed; "
            f"found are {_shown(', '.join(names))}"
        )
    known = (content, "id", "style_uri", "style_weight", "mask_uri")
    row_id, style_uri, style_weight, mask_uri = (places.get(name) for name in known[1:])
    others = tuple((name, at) for name, at in places.items() if name not in known)
    return _Layout(places[content], row_id, style_uri, style_weight, mask_uri, others)


def _row_id(value: object) -> str | None:
    """An id as text: whole numbers without a decimal point, as tables with gaps turn them."""
    if isinstance(value, str):
        return value or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RowFault(f"id must be text or a number, not {_shown(value)}")


def _style_uris(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    uris = _as_list(value, "style_uri")
    if all(isinstance(uri, str) and uri and not uri.isspace() for uri in uris):
        return tuple(str(uri) for uri in uris)
    raise RowFault(f"style_uri must be a URI or a list of URIs, not {_shown(value)}")


def _style_weights(value: object, style_uris: tuple[str, ...]) -> tuple[float, ...]:
    if not style_uris:
        raise RowFault("style_weight without style_uri")
    weights = tuple(_weight(weight) for weight in _as_list(value, "style_weight"))
    if len(weights) != len(style_uris):
        raise RowFault(f"{len(weights)} style_weight for {len(style_uris)} style_uri")
    return weights


def _mask_uris(value: object, style_uris: tuple[str, ...]) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    uris = _as_list(value, "mask_uri")
    if not all(uri is None or (isinstance(uri, str) and not uri.isspace()) for uri in uris):
        raise RowFault(f"mask_uri must be a URI or a list of URIs, not {_shown(value)}")
    if uris and style_uris and len(uris) != len(style_uris):
        raise RowFault(f"{len(uris)} mask_uri for {len(style_uris)} style_uri")
    return tuple(str(uri or "") for uri in uris)


def _weight(value: object) -> float:
    try:
        weight = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if isinstance(value, bool) or not 0 < weight <= MAX_STYLE_WEIGHT:
        raise RowFault(
            f"style_weight must be above 0 and at most {MAX_STYLE_WEIGHT:g}, not {_shown(value)}"
        )
    return weight


def _as_list(value: object, column: str) -> list[object]:
    """A list, as it is or as the JSON that formats without lists hold; else a list of one."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
            # Escapes can spell surrogates, which are no text; no plan file takes them.
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise RowFault(f"{column} starts a list that is not JSON: {_shown(value)}") from None
    return value if isinstance(value, list) else [value]


def _plain(value: object) -> Any:  # noqa: ANN401 - scalars of several types
    """A value of a column that we only carry through: scalars as they are, the rest as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.hex() if isinstance(value, bytes) else str(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."
