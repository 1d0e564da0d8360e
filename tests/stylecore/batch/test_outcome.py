from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.extra import ExtraColumns
from stylecore.batch.outcome import (
    OUTCOME_SCHEMA,
    Outcome,
    latest_outcomes,
    outcomes_from_table,
    outcomes_to_table,
)

NO_EXTRA = pa.schema([])
TEXT = st.none() | st.text(max_size=20)
FIGURE = st.none() | st.floats(allow_nan=False)


def outcome(row_id: str = "r", **values: Any) -> Outcome:
    plain: dict[str, Any] = {"content_uri": "/in/a.jpg", "style": "wave", "style_uri": "/s/w.jpg"}
    return Outcome(**plain | {"row_id": row_id, "status": "made", "shard": 0} | values)


def test_results_have_the_promised_columns_in_the_promised_order() -> None:
    assert OUTCOME_SCHEMA.names == [
        "row_id",
        "content_uri",
        "content_version",
        "style",
        "style_uri",
        "status",
        "error_code",
        "error_message",
        "output_uri",
        "output_sha256",
        "fingerprint",
        "width_px",
        "height_px",
        "seconds",
        "evaluations",
        "content_loss",
        "style_loss",
        "total_loss",
        "lpips_content",
        "ssim_content",
        "psnr_content",
        "refine_alpha",
        "fdrl",
        "fdrl_unrefined",
        "lpips_unrefined",
        "ssim_unrefined",
        "device",
        "attempt",
        "shard",
        "finished_at",
    ]


def test_the_manifests_columns_follow_the_promised_ones() -> None:
    extra = pa.schema([("rank", pa.int64()), ("row_style", pa.string())])
    table = outcomes_to_table([outcome(extra={"rank": 3})], extra)
    assert table.schema.names == [*OUTCOME_SCHEMA.names, "rank", "row_style"]
    assert table["rank"].to_pylist() == [3]
    assert table["row_style"].to_pylist() == [None]


def test_figures_that_nobody_measured_are_null() -> None:
    line = outcomes_to_table([outcome()], NO_EXTRA).to_pylist()[0]
    figures = ("seconds", "evaluations", "content_loss", "lpips_content", "psnr_content", "device")
    assert [line[name] for name in figures] == [None] * len(figures)


def test_an_outcome_knows_when_it_was_finished_in_utc() -> None:
    finished_at = outcomes_to_table([outcome()], NO_EXTRA).to_pylist()[0]["finished_at"]
    assert finished_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - finished_at) < timedelta(minutes=1)


@pytest.mark.parametrize("column", ["extra", "attempts", "", "size (px)", "größe"])
def test_a_column_of_any_name_is_carried_through(column: str) -> None:
    columns = ExtraColumns()
    columns.add({column: 7})
    table = outcomes_to_table([outcome(extra={column: 7})], columns.schema())
    assert next(outcomes_from_table(table)).extra == {column: 7}


@given(
    st.builds(
        outcome,
        st.text(max_size=20),
        status=st.sampled_from(["made", "skipped", "failed"]),
        attempt=st.integers(1, 99),
        error_code=TEXT,
        error_message=TEXT,
        output_uri=TEXT,
        seconds=FIGURE,
        total_loss=FIGURE,
        evaluations=st.none() | st.integers(0, 5000),
        finished_at=st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2)),
    )
)
def test_an_outcome_comes_back_from_a_table_as_it_was(before: Outcome) -> None:
    assert list(outcomes_from_table(outcomes_to_table([before], NO_EXTRA))) == [before]


def test_the_highest_attempt_wins_wherever_it_stands() -> None:
    first = outcome(status="failed", attempt=1)
    second, third = outcome(status="failed", attempt=2), outcome(status="made", attempt=3)
    assert latest_outcomes([first, third, second]) == [third]


def test_each_style_of_a_row_has_its_own_outcome() -> None:
    wave, poppies = outcome(style="wave"), outcome(style="poppies", attempt=2)
    assert latest_outcomes([wave, poppies]) == [wave, poppies]


def test_a_retry_leaves_the_rows_in_their_places() -> None:
    rows = [outcome("a"), outcome("b", status="failed"), outcome("c")]
    again = outcome("b", attempt=2)
    assert latest_outcomes([*rows, again]) == [rows[0], again, rows[2]]
