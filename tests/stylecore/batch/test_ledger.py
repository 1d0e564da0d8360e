import io
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stylecore.batch.extra import ExtraColumns
from stylecore.batch.fingerprint import Style
from stylecore.batch.ledger import (
    PlannedShard,
    PlannedStyle,
    RunLedger,
    RunRecord,
    Shard,
    open_ledger,
)
from stylecore.batch.outcome import OUTCOME_SCHEMA, Outcome
from stylecore.batch.planning import PlannedRow, ShardRows
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError

WAVE = Style("wave", ("/styles/wave.jpg",), (1.0,))
ROWS_OF_SHARDS = (("a", "b"), ("c",))


def planned_row(row_id: str, **extra: Any) -> PlannedRow:
    return PlannedRow(row_id, f"/in/{row_id}.jpg", "v1", None, None, extra)


def record(**values: Any) -> RunRecord:
    plain: dict[str, Any] = {
        "run_id": "0123",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "versions": {"stylebatch": "1"},
        "job": StylizeJob(manifest_uri="/in/m.jsonl", output_uri="/out"),
        "manifest_digest": "m",
        "inputs_digest": "w",
        "rows": 3,
        "planned": 3,
        "duplicates": 0,
        "rejected": {},
        "rows_per_shard": 2,
        "styles": [PlannedStyle(name="wave", uris=WAVE.uris, weights=(1.0,), digest="d")],
        "shards": [PlannedShard(style_index=0, rows=len(ids)) for ids in ROWS_OF_SHARDS],
    }
    return RunRecord(**plain | values)


def columns_of(*rows: PlannedRow) -> ExtraColumns:
    columns = ExtraColumns()
    for row in rows:
        columns.add(row.extra)
    return columns


@pytest.fixture
def ledger(tmp_path: Path) -> RunLedger:
    """A planned run of two shards, with two rows and one."""
    ledger = RunLedger(Store(), f"{tmp_path}/out", "0123")
    for number, ids in enumerate(ROWS_OF_SHARDS):
        rows = [planned_row(row_id) for row_id in ids]
        ledger.write_shard_plan(ShardRows(number, 0, rows), WAVE, ExtraColumns())
    ledger.complete_plan(record())
    return ledger


def outcomes_for(shard: Shard, *failed: str) -> list[Outcome]:
    return [
        Outcome(
            row_id=row.row_id,
            content_uri=row.content_uri,
            style=shard.style.name,
            style_uri=shard.style.style().uri,
            status="failed" if row.row_id in failed else "made",
            shard=shard.number,
            attempt=shard.attempt,
            extra=row.extra,
        )
        for row in shard.rows
    ]


def finish(ledger: RunLedger, shard: Shard | None, *failed: str) -> None:
    assert shard is not None
    assert ledger.write_results(shard, outcomes_for(shard, *failed))


def statuses(ledger: RunLedger) -> dict[str, tuple[str, int]]:
    return {outcome.row_id: (outcome.status, outcome.attempt) for outcome in ledger.outcomes()}


def names_below(ledger: RunLedger, folder: str) -> list[str]:
    return sorted(path.name for path in Path(ledger.uri(folder)).iterdir())


def test_a_run_lies_below_its_output() -> None:
    ledger = RunLedger(Store(), "s3://out/x", "0123")
    assert ledger.run_uri == "s3://out/x/runs/0123"
    assert ledger.uri("plan", "00000.parquet") == "s3://out/x/runs/0123/plan/00000.parquet"


def test_rows_come_back_from_their_plan_file(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    good = planned_row("a", rank=1, status="draft")
    bad = PlannedRow("b", "http://x", None, "not_allowed", "why", {"rank": None, "status": None})
    ledger.write_shard_plan(ShardRows(0, 0, [good, bad]), WAVE, columns_of(good, bad))
    ledger.complete_plan(record(shards=[PlannedShard(style_index=0, rows=2)]))
    shard = ledger.read_shard(0)
    assert (shard.number, shard.attempt, shard.style) == (0, 1, record().styles[0])
    carried = [{"rank": 1, "row_status": "draft"}, {"rank": None, "row_status": None}]
    assert [row.extra for row in shard.rows] == carried
    assert [row.error_code for row in shard.rows] == [None, "not_allowed"]
    assert shard.rows[0].content_version == "v1"


def test_masks_of_rows_and_of_styles_come_back_from_the_plan(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    masks = [("/in/left.png", ""), ()]
    rows = [replace(planned_row(str(number)), mask_uris=each) for number, each in enumerate(masks)]
    ledger.write_shard_plan(ShardRows(0, 0, rows), WAVE, ExtraColumns())
    style = PlannedStyle(name="wave", uris=WAVE.uris, weights=(1.0,), masks=("/styles/m.png",))
    ledger.complete_plan(record(styles=[style], shards=[PlannedShard(style_index=0, rows=2)]))
    shard = RunLedger(Store(), str(tmp_path), "0123").read_shard(0)
    assert [row.mask_uris for row in shard.rows] == masks
    assert shard.style.style().masks == ("/styles/m.png",)


def test_a_plan_of_before_there_were_masks_has_none(ledger: RunLedger) -> None:
    path = Path(ledger.uri("plan", "00000.parquet"))
    pq.write_table(pq.read_table(path).drop_columns("mask_uris"), path)
    rows = ledger.read_shard(0).rows
    assert [(row.row_id, row.mask_uris) for row in rows] == [("a", ()), ("b", ())]


def test_a_column_of_the_manifest_may_be_called_as_the_plans_masks(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    row = planned_row("a", mask_uris="mine")
    ledger.write_shard_plan(ShardRows(0, 0, [row]), WAVE, columns_of(row))
    ledger.complete_plan(record(shards=[PlannedShard(style_index=0, rows=1)]))
    (back,) = ledger.read_shard(0).rows
    assert (back.extra, back.mask_uris) == ({"row_mask_uris": "mine"}, ())


def test_planning_again_writes_the_same_bytes(ledger: RunLedger) -> None:
    path = Path(ledger.uri("plan", "00000.parquet"))
    before = path.read_bytes()
    rows = [planned_row(row_id) for row_id in ROWS_OF_SHARDS[0]]
    ledger.write_shard_plan(ShardRows(0, 0, rows), WAVE, ExtraColumns())
    assert path.read_bytes() == before


def test_a_run_is_planned_only_once_job_json_is_there(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    ledger.write_shard_plan(ShardRows(0, 0, [planned_row("a")]), WAVE, ExtraColumns())
    assert not ledger.is_planned()
    ledger.complete_plan(record())
    assert ledger.is_planned()


def test_a_complete_plan_stands(ledger: RunLedger) -> None:
    ledger.complete_plan(record(manifest_digest="another"))
    again = RunLedger(Store(), ledger.output_uri, "0123")
    assert again.record == record()


def test_the_stores_clock_moves_on_before_the_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    ledger.complete_plan(record())
    assert sum(pauses) >= 0.01  # the coarsest clock of a local file system in use


def test_whatever_is_made_is_younger_than_its_plan(ledger: RunLedger) -> None:
    picture = Path(ledger.output_uri, "picture.jpg")
    picture.touch()
    assert os.stat(picture).st_mtime > ledger.planned_at.timestamp()


def test_a_run_is_opened_by_its_uri(ledger: RunLedger) -> None:
    opened = open_ledger(Store(), f"{ledger.run_uri}/")
    assert (opened.output_uri, opened.run_id) == (ledger.output_uri, "0123")
    assert opened.record == record()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("/nowhere/runs/0123", "there is no run here"),
        ("/nowhere", "not a run's URI"),
        ("/nowhere/runs/0123/job.json", "not a run's URI"),
        ("http://x/runs/0123", "http"),
        ("", "empty"),
    ],
)
def test_what_names_no_run_is_a_wrong_request(uri: str, reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        open_ledger(Store(), uri)


def test_a_shard_is_pending_until_its_results_are_there(ledger: RunLedger) -> None:
    assert ledger.pending_shards() == [0, 1]
    finish(ledger, ledger.read_shard(1))
    assert ledger.pending_shards() == [0]
    assert names_below(ledger, "results") == ["00001.parquet"]


def test_the_first_results_of_a_shard_stand(ledger: RunLedger) -> None:
    shard = ledger.read_shard(0)
    finish(ledger, shard)
    assert not ledger.write_results(shard, outcomes_for(shard, "a", "b"))
    assert {status for status, _ in statuses(ledger).values()} == {"made"}


def test_a_shard_without_an_outcome_for_every_row_is_never_written(ledger: RunLedger) -> None:
    shard = ledger.read_shard(0)
    with pytest.raises(AssertionError, match="1 of 2 rows"):
        ledger.write_results(shard, outcomes_for(shard)[:1])
    assert ledger.pending_shards() == [0, 1]


def test_a_retry_is_of_the_failed_rows_and_counts_attempts(ledger: RunLedger) -> None:
    finish(ledger, ledger.read_shard(0), "b")
    for attempt in (2, 3):
        shard = ledger.read_failed_rows(0)
        assert shard is not None
        assert ([row.row_id for row in shard.rows], shard.attempt) == (["b"], attempt)
        finish(ledger, shard, *(["b"] if attempt == 2 else []))
    assert ledger.read_failed_rows(0) is None
    assert statuses(ledger) == {"a": ("made", 1), "b": ("made", 3)}
    assert names_below(ledger, "results") == [
        "00000.parquet",
        "00000.retry1.parquet",
        "00000.retry2.parquet",
    ]


def test_the_latest_of_many_retries_wins(ledger: RunLedger) -> None:
    finish(ledger, ledger.read_shard(1), "c")
    for _ in range(10):
        finish(ledger, ledger.read_failed_rows(1), "c")
    finish(ledger, ledger.read_failed_rows(1))
    assert statuses(ledger) == {"c": ("made", 12)}
    files = ledger.result_files()[1]
    assert [uri.rpartition("/")[2] for uri in files[-2:]] == [
        "00001.retry10.parquet",
        "00001.retry11.parquet",
    ]


def test_a_shard_that_nobody_worked_on_has_nothing_to_retry(ledger: RunLedger) -> None:
    assert ledger.read_failed_rows(0) is None
    assert ledger.outcomes_of(0) == []


def test_other_files_among_the_results_are_not_results(ledger: RunLedger) -> None:
    finish(ledger, ledger.read_shard(0))
    for name in ("notes.txt", "00001.parquet.bak", "x.parquet"):
        Path(ledger.uri("results", name)).write_bytes(b"")
    assert list(ledger.result_files()) == [0]


def test_all_results_of_a_run_have_one_schema(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    rows = [planned_row("a", rank=1), planned_row("b", rank=None), planned_row("c", rank=0.5)]
    for number, row in enumerate(rows):
        ledger.write_shard_plan(ShardRows(number, 0, [row]), WAVE, columns_of(*rows))
    ledger.complete_plan(record(shards=[PlannedShard(style_index=0, rows=1)] * 3))
    for number in range(3):
        finish(ledger, ledger.read_shard(number), "b")
    finish(ledger, ledger.read_failed_rows(1))
    tables = [
        pq.read_table(io.BytesIO(Path(uri).read_bytes()))
        for files in ledger.result_files().values()
        for uri in files
    ]
    assert len({str(table.schema) for table in tables}) == 1
    whole = pa.concat_tables(tables)
    assert whole.schema.names == [*OUTCOME_SCHEMA.names, "rank"]
    assert whole["rank"].to_pylist() == [1.0, None, None, 0.5]


def test_progress_is_the_last_word_of_every_shard(ledger: RunLedger) -> None:
    assert ledger.read_progress() == {}
    ledger.write_progress(0, {"done": 1})
    ledger.write_progress(12, {"done": 5})
    ledger.write_progress(0, {"done": 2})
    assert ledger.read_progress() == {0: {"done": 2}, 12: {"done": 5}}
