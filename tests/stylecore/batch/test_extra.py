import json
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.extra import ExtraColumns, fit_value
from stylecore.batch.outcome import OUTCOME_SCHEMA

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def columns_of(*extras: dict[str, Any]) -> ExtraColumns:
    columns = ExtraColumns()
    for extra in extras:
        columns.add(extra)
    return columns


def type_of(*values: object) -> pa.DataType:
    return columns_of(*({"x": value} for value in values)).schema().field("x").type


@pytest.mark.parametrize(
    ("values", "column_type"),
    [
        ([True, None], pa.bool_()),
        ([1, -(2**63), None], pa.int64()),
        ([1, 0.5], pa.float64()),
        ([0.5, float("nan")], pa.float64()),
        (["a", None], pa.string()),
        ([None], pa.string()),
        ([1, "a"], pa.string()),
        ([True, 1], pa.string()),
        ([2**63], pa.string()),
        ([2**53 + 1, 0.5], pa.string()),
    ],
)
def test_a_column_has_the_narrowest_type_that_holds_all_its_values(
    values: list[object], column_type: pa.DataType
) -> None:
    assert type_of(*values) == column_type


def test_a_column_keeps_its_name_unless_the_results_have_one_of_that_name() -> None:
    names = columns_of({"photographer": "x", "status": 1, "shard": 2}).names()
    assert names == {"photographer": "photographer", "status": "row_status", "shard": "row_shard"}


def test_a_column_that_has_the_prefixed_name_already_keeps_it() -> None:
    names = columns_of({"device": 1, "row_device": 2}).names()
    assert names == {"device": "row_row_device", "row_device": "row_device"}


def test_columns_stand_in_the_manifests_order_also_where_rows_differ() -> None:
    assert columns_of({"b": 1}, {"a": 1, "b": 2}).schema().names == ["b", "a"]


@given(st.lists(st.text(), unique=True), st.lists(st.sampled_from(OUTCOME_SCHEMA.names)))
def test_names_never_clash(own: list[str], clashing: list[str]) -> None:
    names = columns_of(dict.fromkeys([*own, *clashing])).names()
    assert len(set(names.values())) == len(names)
    assert not set(names.values()) & set(OUTCOME_SCHEMA.names)


@given(st.lists(SCALARS))
def test_any_mix_of_values_fits_its_column_and_comes_back(values: list[Any]) -> None:
    column_type = type_of(*values, None)
    array = pa.array([fit_value(value, column_type) for value in values], column_type)
    for value, stored in zip(values, array.to_pylist(), strict=True):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        is_json = pa.types.is_string(column_type) and not isinstance(value, str)
        assert (json.loads(stored) if is_json else stored) == value
