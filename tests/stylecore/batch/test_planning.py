import json
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.batch import planning
from stylecore.batch.manifest import SpooledManifest, read_rows
from stylecore.batch.planning import (
    PlannedRow,
    RowReader,
    Scan,
    ShardRows,
    cut_shards,
    refuse_if_all_rejected,
    scan_manifest,
)
from stylecore.batch.uris import AllowList
from stylecore.errors import JobError

Record = dict[str, Any]
WAVE, POPPIES = "/styles/wave.jpg", "/styles/poppies.jpg"


def reader_of(folder: Path, records: Sequence[Record], *styles: str) -> RowReader:
    """The rows of a manifest at s3://inbox, spooled to ``folder``; it and /styles are allowed."""
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    manifest = SpooledManifest("s3://inbox/manifest.jsonl", path, "digest", "s3://inbox", "jsonl")
    sources = [((uri,), (1.0,)) for uri in styles]
    return RowReader(manifest, sources, AllowList(["s3://inbox", "/styles"]))


def planned(reader: RowReader, rows_per_shard: int = 100) -> tuple[Scan, list[ShardRows]]:
    scan = scan_manifest(reader)
    return scan, list(cut_shards(reader, scan, rows_per_shard))


def rows_of(shards: Sequence[ShardRows]) -> list[PlannedRow]:
    return [row for shard in shards for row in shard.rows]


def photos(*names: str) -> list[Record]:
    return [{"content_uri": f"{name}.jpg"} for name in names]


def test_every_photograph_is_planned_in_every_style_of_the_job(tmp_path: Path) -> None:
    scan, shards = planned(reader_of(tmp_path, photos("a", "b"), WAVE, POPPIES))
    assert (scan.rows, scan.planned, scan.duplicates) == (2, 4, 0)
    assert [style.name for style in scan.styles] == ["wave", "poppies"]
    made = [(shard.style_index, [row.content_uri for row in shard.rows]) for shard in shards]
    both = ["s3://inbox/a.jpg", "s3://inbox/b.jpg"]
    assert made == [(0, both), (1, both)]


def test_a_row_is_called_by_its_id_or_else_its_number_from_zero(tmp_path: Path) -> None:
    records = [{"content_uri": "a.jpg", "id": "x"}, *photos("b", "c")]
    _, shards = planned(reader_of(tmp_path, records, WAVE))
    assert [row.row_id for row in rows_of(shards)] == ["x", "1", "2"]


@pytest.mark.parametrize(
    ("ids", "row", "repeated"),
    [(["x", "y", "x"], 3, "x"), (["x", "x", "x"], 2, "x"), (["1", None, "y"], 2, "1")],
)
def test_a_repeated_id_is_refused_with_its_row(
    tmp_path: Path, ids: list[str | None], row: int, repeated: str
) -> None:
    records = [{"content_uri": f"{n}.jpg", "id": row_id} for n, row_id in enumerate(ids)]
    with pytest.raises(JobError, match=f"row {row} repeats the id '{repeated}'"):
        planned(reader_of(tmp_path, records, WAVE))


def test_an_equal_row_is_a_duplicate_and_no_repeated_id(tmp_path: Path) -> None:
    scan, _ = planned(reader_of(tmp_path, [{"content_uri": "a.jpg", "id": "x"}] * 3, WAVE))
    assert (scan.planned, scan.duplicates) == (1, 2)


def test_a_duplicate_that_is_dropped_leaves_its_id_to_others(tmp_path: Path) -> None:
    records = [{"content_uri": f"{name}.jpg", "id": row_id} for name, row_id in ("ax", "ay", "by")]
    _, shards = planned(reader_of(tmp_path, records, WAVE))
    assert [row.row_id for row in rows_of(shards)] == ["x", "y"]


def test_of_duplicates_the_first_row_is_kept(tmp_path: Path) -> None:
    records = [{"content_uri": uri, "id": uri} for uri in ("a.jpg", "b.jpg", "s3://inbox/a.jpg")]
    scan, shards = planned(reader_of(tmp_path, records, WAVE))
    assert (scan.rows, scan.planned, scan.duplicates) == (3, 2, 1)
    assert [row.row_id for row in rows_of(shards)] == ["a.jpg", "b.jpg"]


def test_the_same_photograph_in_another_style_is_no_duplicate(tmp_path: Path) -> None:
    records = [{"content_uri": "a.jpg", "style_uri": uri} for uri in (WAVE, POPPIES)]
    scan, _ = planned(reader_of(tmp_path, records))
    assert (scan.planned, scan.duplicates) == (2, 0)


@pytest.mark.parametrize("styles", [(WAVE,), (WAVE, POPPIES)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_row_that_names_a_style_of_the_job_is_not_made_twice(
    tmp_path: Path, styles: tuple[str, ...], order: int
) -> None:
    records = [{"content_uri": "a.jpg"}, {"content_uri": "a.jpg", "style_uri": WAVE}][::order]
    scan, shards = planned(reader_of(tmp_path, records, *styles))
    assert (scan.planned, scan.duplicates) == (len(styles), 1)
    assert [shard.style_index for shard in shards] == list(range(len(styles)))


def test_weights_of_a_rows_own_styles_count_relative_to_each_other(tmp_path: Path) -> None:
    blend = [WAVE, POPPIES]
    records = [
        {"content_uri": "a.jpg", "style_uri": blend, "style_weight": [1, 2]},
        {"content_uri": "a.jpg", "style_uri": blend, "style_weight": [10, 20]},
        {"content_uri": "a.jpg", "style_uri": blend},
        {"content_uri": "a.jpg", "style_uri": WAVE, "style_weight": 5},
    ]
    scan, _ = planned(reader_of(tmp_path, records, WAVE))
    assert (scan.planned, scan.duplicates) == (3, 1)
    shares = [style.weights for style in scan.styles]
    assert shares == [(1.0,), pytest.approx((1 / 3, 2 / 3)), (0.5, 0.5)]


def test_a_rows_own_style_replaces_the_jobs(tmp_path: Path) -> None:
    records = [{"content_uri": "a.jpg", "style_uri": POPPIES}]
    scan, shards = planned(reader_of(tmp_path, records, WAVE))
    assert [scan.styles[shard.style_index].name for shard in shards] == ["poppies"]
    assert (scan.planned, scan.rows_of_style) == (1, [0, 1])


def test_refused_rows_are_planned_with_their_code_and_counted_as_pictures(tmp_path: Path) -> None:
    records = [*photos("a"), {"content_uri": "http://x/b.jpg"}, {"content_uri": "../c.jpg"}]
    scan, shards = planned(reader_of(tmp_path, records, WAVE, POPPIES))
    assert scan.rejected == Counter(not_allowed=2, bad_key=2)
    assert scan.planned == 6
    rows = shards[0].rows
    assert [row.error_code for row in rows] == [None, "not_allowed", "bad_key"]
    assert rows[1].content_uri == "http://x/b.jpg"
    assert rows[1].error_message is not None


def test_a_row_whose_style_is_refused_is_refused(tmp_path: Path) -> None:
    records = [*photos("a"), {"content_uri": "b.jpg", "style_uri": [WAVE, "s3://other/x.jpg"]}]
    scan, shards = planned(reader_of(tmp_path, records, WAVE))
    assert scan.rejected == Counter(not_allowed=1)
    assert "--allow s3://other" in str(shards[1].rows[0].error_message)


def test_a_duplicate_of_a_refused_row_is_refused_once(tmp_path: Path) -> None:
    scan, _ = planned(reader_of(tmp_path, [*photos("a"), *[{"content_uri": "x://b"}] * 3], WAVE))
    assert (scan.rejected, scan.duplicates) == (Counter(not_allowed=1), 2)


def test_only_the_first_refusals_are_shown_with_their_rows(tmp_path: Path) -> None:
    records = [{"content_uri": f"http://x/{number}"} for number in range(9)]
    scan, _ = planned(reader_of(tmp_path, records, WAVE))
    assert len(scan.reject_examples) == 5
    assert scan.reject_examples[1].startswith("row 2: http://x/1: ")


def test_a_job_whose_every_row_is_refused_names_what_to_allow(tmp_path: Path) -> None:
    records = [{"content_uri": f"s3://other/{number}.jpg"} for number in range(2)]
    scan, _ = planned(reader_of(tmp_path, records, WAVE, POPPIES))
    with pytest.raises(JobError, match="--allow s3://other"):
        refuse_if_all_rejected(scan, "s3://inbox/manifest.jsonl")


@pytest.mark.parametrize("other", [[], photos("a"), [{"content_uri": "../a.jpg"}]])
def test_a_job_is_not_refused_for_some_of_its_rows(tmp_path: Path, other: list[Record]) -> None:
    refused = [{"content_uri": "s3://other/a.jpg"}] if other else []
    scan, _ = planned(reader_of(tmp_path, [*other, *refused, *photos("z")], WAVE))
    refuse_if_all_rejected(scan, "s3://inbox/manifest.jsonl")


def test_a_row_without_any_style_is_refused_with_its_number(tmp_path: Path) -> None:
    records = [{"content_uri": "a.jpg", "style_uri": WAVE}, {"content_uri": "b.jpg"}]
    with pytest.raises(JobError, match="row 2 names no style"):
        planned(reader_of(tmp_path, records))


def test_an_empty_folder_is_a_plan_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.listing"
    path.touch()
    manifest = SpooledManifest("s3://inbox", path, "digest", "s3://inbox", "listing")
    scan, shards = planned(RowReader(manifest, [((WAVE,), (1.0,))], AllowList(["s3://inbox"])))
    refuse_if_all_rejected(scan, "s3://inbox")
    assert (scan.rows, scan.planned, scan.duplicates, shards) == (0, 0, 0, [])


def test_shards_are_numbered_without_gaps_and_keep_the_manifests_order(tmp_path: Path) -> None:
    _, shards = planned(reader_of(tmp_path, photos(*"abcde"), WAVE, POPPIES), rows_per_shard=2)
    assert [shard.number for shard in shards] == list(range(6))
    for style_index in (0, 1):
        own = rows_of([shard for shard in shards if shard.style_index == style_index])
        assert [row.row_id for row in own] == list("01234")


def test_unknown_columns_are_carried_along(tmp_path: Path) -> None:
    records = [{"content_uri": "a.jpg", "rank": 1}, {"content_uri": "b.jpg", "rank": 0.5}]
    scan, shards = planned(reader_of(tmp_path, records, WAVE))
    assert [row.extra for row in rows_of(shards)] == [{"rank": 1}, {"rank": 0.5}]
    assert str(scan.extra.schema().field("rank").type) == "double"


STYLE_OF_ROW = st.sampled_from([None, WAVE, POPPIES, "/styles/third.jpg", "/styles/fourth.jpg"])
RECORDS = st.lists(
    st.builds(
        lambda name, style: {"content_uri": f"{name}.jpg", "style_uri": style},
        st.sampled_from("abcdef"),
        STYLE_OF_ROW,
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(RECORDS, st.sampled_from([(WAVE,), (WAVE, POPPIES)]), st.integers(1, 5), st.integers(1, 40))
def test_every_picture_is_planned_exactly_once(
    records: list[Record], styles: tuple[str, ...], size: int, room: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_BUFFERED_ROWS", room)
        scan, shards = planned(reader_of(Path(folder), records, *styles), size)
    wanted = {
        (f"s3://inbox/{record['content_uri']}", uri)
        for record in records
        for uri in ([record["style_uri"]] if record["style_uri"] else styles)
    }
    found = [
        (row.content_uri, scan.styles[shard.style_index].uri)
        for shard in shards
        for row in shard.rows
    ]
    assert sorted(found) == sorted(wanted)
    assert scan.planned == len(wanted)
    assert [shard.number for shard in shards] == list(range(len(shards)))
    full = [-(-rows // size) for rows in scan.rows_of_style]
    assert Counter(shard.style_index for shard in shards) == +Counter(dict(enumerate(full)))
    assert all(0 < len(shard.rows) <= size for shard in shards)


def test_ten_thousand_styles_have_a_shard_each_however_they_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_BUFFERED_ROWS", 15_000)
    readings = []
    monkeypatch.setattr(planning, "read_rows", lambda m: readings.append(m) or read_rows(m))
    records = [
        {"content_uri": f"{number}.jpg", "style_uri": f"/styles/{number % 10_000}/painting.jpg"}
        for number in range(20_000)
    ]
    scan, shards = planned(reader_of(tmp_path, records), 2000)
    assert len({style.name for style in scan.styles}) == 10_000
    assert [len(shard.rows) for shard in shards] == [2] * 10_000
    assert len(readings) == 3  # once to scan, twice to cut without holding all rows


def peak_of_scanning(folder: Path, rows: int) -> int:
    reader = reader_of(folder, photos("same") * rows, WAVE)
    tracemalloc.start()
    scan = scan_manifest(reader)
    assert (scan.planned, scan.duplicates) == (1, rows - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_one_photograph_very_often_takes_a_hundred_bytes_a_row(tmp_path: Path) -> None:
    growth = peak_of_scanning(tmp_path, 40_000) - peak_of_scanning(tmp_path, 15_000)
    assert growth / 25_000 < 150
