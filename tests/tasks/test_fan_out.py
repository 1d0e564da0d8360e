"""How shards become task runs: full ones by themselves, tiny ones together, and their names."""

from datetime import UTC, datetime

import pytest

from stylecore.batch.ledger import PlannedShard, PlannedStyle, RunLedger, RunRecord
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from tasks.fan_out import group_shards, label_group


def ledger_of(sizes: list[int], rows_per_shard: int, styles: list[int] | None = None) -> RunLedger:
    """A ledger that was planned with shards of these sizes, and is nowhere."""
    of_style = styles or [0] * len(sizes)
    ledger = RunLedger(Store(), "/out", "0123")
    ledger.record = RunRecord(
        run_id="0123",
        created_at=datetime.now(UTC),
        versions={},
        job=StylizeJob(manifest_uri="/in/", output_uri="/out"),
        manifest_digest="",
        inputs_digest="",
        rows=sum(sizes),
        planned=sum(sizes),
        duplicates=0,
        rejected={},
        rows_per_shard=rows_per_shard,
        styles=tuple(
            PlannedStyle(name=f"style{n}", uris=(f"/s/{n}.jpg",), weights=(1.0,))
            for n in range(max(of_style, default=0) + 1)
        ),
        shards=tuple(
            PlannedShard(style_index=style, rows=rows)
            for style, rows in zip(of_style, sizes, strict=True)
        ),
    )
    return ledger


@pytest.mark.parametrize(
    ("sizes", "rows_per_shard", "expected"),
    [
        ([], 10, []),
        ([10, 10, 3], 10, [[0], [1], [2]]),
        ([4, 4, 4, 4, 4], 10, [[0, 1], [2, 3], [4]]),
        ([1, 9, 1], 10, [[0, 1], [2]]),
        ([1] * 120, 1000, [[*range(50)], [*range(50, 100)], [*range(100, 120)]]),
    ],
)
def test_tiny_shards_share_a_task_run_up_to_a_full_shards_rows(
    sizes: list[int], rows_per_shard: int, expected: list[list[int]]
) -> None:
    ledger = ledger_of(sizes, rows_per_shard)
    assert list(group_shards(ledger, range(len(sizes)))) == expected


def test_only_the_named_shards_are_grouped() -> None:
    assert list(group_shards(ledger_of([3, 3, 3, 3], 6), [1, 3])) == [[1, 3]]


def test_ten_thousand_styles_of_one_row_are_some_hundred_task_runs() -> None:
    ledger = ledger_of([1] * 10_000, 500)
    groups = list(group_shards(ledger, range(10_000)))
    assert len(groups) == 200
    assert [number for group in groups for number in group] == [*range(10_000)]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([1], "style0, shard 00001, 5 pictures"),
        ([0, 1], "style0, shard 00000-00001, 10 pictures"),
        ([1, 2], "2 styles, shard 00001-00002, 6 pictures"),
    ],
)
def test_a_task_runs_name_tells_style_shards_and_pictures(group: list[int], expected: str) -> None:
    assert label_group(ledger_of([5, 5, 1], 10, [0, 0, 1]), group) == expected
