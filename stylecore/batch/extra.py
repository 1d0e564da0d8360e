"""A manifest's unknown columns: carried through to the results, with one type over all shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import pyarrow as pa

from stylecore.batch.outcome import OUTCOME_SCHEMA

_INT64_LIMIT: Final = 2**63
_FLOAT64_LIMIT: Final = 2**53  # whole numbers beyond are not all floats
_Kind = Literal["bool", "int", "wide int", "float", "text"]


class ExtraColumns:
    """The narrowest Parquet type that holds all of each column, and its name in the results."""

    def __init__(self) -> None:
        self._seen: dict[str, set[_Kind]] = {}

    def add(self, extra: Mapping[str, Any]) -> None:
        """Take note of one row's values."""
        for name, value in extra.items():
            seen = self._seen.setdefault(name, set())
            if value is not None:
                seen.add(_kind(value))

    def names(self) -> dict[str, str]:
        """The results' name of each column: its own, or ``row_`` before it where names clash."""
        taken = {*OUTCOME_SCHEMA.names, "mask_uris"}  # which plan files have besides
        names: dict[str, str] = {}
        for name in sorted(self._seen, key=lambda n: (n in taken, n)):
            column = name
            while column in taken:
                column = f"row_{column}"
            taken.add(column)
            names[name] = column
        return {name: names[name] for name in self._seen}

    def schema(self) -> pa.Schema:
        """Columns in the manifest's order, under the results' names."""
        names = self.names()
        return pa.schema([(names[name], _parquet_type(self._seen[name])) for name in self._seen])


def _kind(value: object) -> _Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, float):
        return "float"
    if isinstance(value, int) and -_INT64_LIMIT <= value < _INT64_LIMIT:
        return "int" if abs(value) <= _FLOAT64_LIMIT else "wide int"
    return "text"


def _parquet_type(seen: set[_Kind]) -> pa.DataType:
    if not seen:
        return pa.string()
    if seen == {"bool"}:
        return pa.bool_()
    if seen <= {"int", "wide int"}:
        return pa.int64()
    if seen <= {"int", "float"}:
        return pa.float64()
    return pa.string()


def fit_value(value: Any, column_type: pa.DataType) -> Any:
    """A value as its column holds it: in a text column, whatever is no text becomes JSON."""
    if value is None or isinstance(value, str) or not pa.types.is_string(column_type):
        return value
    return json.dumps(value, default=str)
