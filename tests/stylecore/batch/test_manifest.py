import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stylecore.batch.manifest import ManifestRow, SpooledManifest, read_rows, spool_manifest
from stylecore.batch.store import Store
from stylecore.errors import JobError


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    folder = tmp_path / "spools"
    folder.mkdir()
    return folder


def spool(path: Path, spools: Path) -> SpooledManifest:
    return spool_manifest(Store(), str(path), spools)


def rows_of(path: Path, spools: Path) -> list[ManifestRow]:
    return [row for rows in read_rows(spool(path, spools)) for row in rows]


def written(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


RECORDS: list[dict[str, Any]] = [
    {"content_uri": "a.jpg", "id": "one", "style_uri": ["x.jpg", "y.jpg"],
     "style_weight": [1.0, 2.0], "mask_uri": ["m.png", None], "rank": 1},
    {"content_uri": "s3://inbox/b é.jpg", "id": "two", "style_uri": None,
     "style_weight": None, "mask_uri": None, "rank": 2},
]  # fmt: skip
ROWS = [
    ManifestRow(
        0, "one", "a.jpg", None, ("x.jpg", "y.jpg"), (1.0, 2.0), ("m.png", ""), {"rank": 1}
    ),
    ManifestRow(1, "two", "s3://inbox/b é.jpg", None, (), (), (), {"rank": 2}),
]
CSV = (
    "content_uri,id,style_uri,style_weight,mask_uri,rank\n"
    'a.jpg,one,"[""x.jpg"", ""y.jpg""]","[1, 2]","[""m.png"", null]",1\n'
    "s3://inbox/b é.jpg,two,,,,2\n"
)


@pytest.mark.parametrize(
    "name", ["m.jsonl", "m.ndjson", "m.jsonl.gz", "M.JSONL", "m.parquet", "M.Parquet"]
)
def test_formats_with_types_give_the_same_rows(tmp_path: Path, spools: Path, name: str):
    if name.lower().endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / name)
    else:
        text = lines(*RECORDS).encode()
        written(tmp_path / name, gzip.compress(text, mtime=0) if name.endswith("gz") else text)
    assert rows_of(tmp_path / name, spools) == ROWS


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "M.CSV.GZ"])
def test_csv_gives_the_same_rows_with_extra_columns_as_text(
    tmp_path: Path, spools: Path, name: str
):
    data = CSV.encode()
    written(tmp_path / name, gzip.compress(data, mtime=0) if name.lower().endswith("gz") else data)
    expected = [row._replace(extra={"rank": str(row.extra["rank"])}) for row in ROWS]
    assert rows_of(tmp_path / name, spools) == expected


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_list_of_uris_skips_blank_lines_and_comments(tmp_path: Path, spools: Path, ending: str):
    text = ending.join(["# photographs", "a.jpg", "", "  ", "b c.jpg"])
    if not ending:
        text = "# photographs\na.jpg\n\nb c.jpg"
    rows = rows_of(written(tmp_path / "m.txt", text + ending), spools)
    assert [(row.number, row.content_uri) for row in rows] == [(0, "a.jpg"), (1, "b c.jpg")]


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.txt"])
def test_a_byte_order_mark_is_no_part_of_the_first_value(tmp_path: Path, spools: Path, name: str):
    text = {"m.jsonl": '{"uri": "a.jpg"}', "m.csv": "uri\na.jpg", "m.txt": "a.jpg"}[name]
    rows = rows_of(written(tmp_path / name, b"\xef\xbb\xbf" + text.encode()), spools)
    assert [row.content_uri for row in rows] == ["a.jpg"]


def test_the_digest_is_that_of_the_bytes_and_names_start_at_the_folder(
    tmp_path: Path, spools: Path
):
    path = written(tmp_path / "m.txt", "a.jpg\n")
    manifest = spool(path, spools)
    assert manifest.digest == hashlib.sha256(b"a.jpg\n").hexdigest()
    assert (manifest.base_uri, manifest.uri) == (str(tmp_path), str(path))


def test_rows_come_from_the_spool_and_not_from_the_original(tmp_path: Path, spools: Path):
    path = written(tmp_path / "m.txt", "a.jpg\n")
    manifest = spool(path, spools)
    written(path, "changed.jpg\n")
    assert [row.content_uri for rows in read_rows(manifest) for row in rows] == ["a.jpg"]


@pytest.mark.parametrize(("column", "other"), [("uri", "file_name"), ("content_uri", "uri")])
def test_the_first_known_name_of_the_content_column_wins(
    tmp_path: Path, spools: Path, column: str, other: str
):
    path = written(tmp_path / "m.jsonl", lines({other: "other.jpg", column: "a.jpg"}))
    (row,) = rows_of(path, spools)
    assert (row.content_uri, row.extra) == ("a.jpg", {other: "other.jpg"})


@pytest.mark.parametrize(
    ("value", "row_id"),
    [("x", "x"), (7, "7"), (7.0, "7"), (7.5, "7.5"), (None, None), ("", None), ("007", "007")],
)
def test_ids_are_read_as_text(tmp_path: Path, spools: Path, value: object, row_id: str | None):
    path = written(tmp_path / "m.jsonl", lines({"uri": "a.jpg", "id": value}))
    assert rows_of(path, spools)[0].id == row_id


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        (True, True),
        (None, None),
        (2**70, 2**70),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ([], "[]"),
    ],
)
def test_unknown_columns_are_carried_through(
    tmp_path: Path, spools: Path, value: object, carried: object
):
    path = written(tmp_path / "m.jsonl", lines({"uri": "a.jpg", "more": value}))
    assert rows_of(path, spools)[0].extra == {"more": carried}


def test_parquet_values_without_a_json_form_become_text(tmp_path: Path, spools: Path):
    table = pa.table(
        {
            "uri": pa.array(["a.jpg"]).dictionary_encode(),
            "taken": pa.array([0], pa.timestamp("ms")),
            "raw": [b"\x01"],
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    (row,) = rows_of(tmp_path / "m.parquet", spools)
    assert row.content_uri == "a.jpg"
    assert row.extra == {"taken": "1970-01-01 00:00:00", "raw": "01"}


def test_a_quoted_field_may_hold_line_ends(tmp_path: Path, spools: Path):
    path = written(tmp_path / "m.csv", 'uri,note\na.jpg,"two\nlines"\n\nb.jpg,\n')
    assert [row.extra for row in rows_of(path, spools)] == [{"note": "two\nlines"}, {"note": ""}]


REFUSED: list[tuple[str, bytes | str, str]] = [
    ("m.jsonl", '{"uri": "a"}\n\n{"uri": "b"\n{"uri": "c"}\n', "line 3: not JSON"),
    ("m.jsonl", '{"uri": "a"}\n{"uri": "b', "line 2: not JSON"),
    ("m.jsonl", '{"uri": "a"}\n["b"]\n', "line 2: not a JSON object"),
    ("m.jsonl", '{"uri": "a"}\n{"id": "b"}\n', "line 2: a column content_uri, uri or file_name"),
    ("m.jsonl", '{"picture": "a", "id": 1}\n', "line 1: .* found are 'picture, id'"),
    ("m.jsonl", '{"uri": "a"}\n{"uri": null}\n', "line 2: uri must be"),
    ("m.jsonl", '{"uri": "a"}\n{"uri": ""}\n', "line 2: uri must be"),
    ("m.jsonl", '{"uri": 7}\n', "line 1: uri must be"),
    ("m.jsonl", b'{"uri": "a"}\n{"uri": "\xff"}\n', "line 2: not UTF-8"),
    ("m.jsonl", '{"uri": "a"}'.encode("utf-16"), "line 1: not UTF-8"),
    ("m.jsonl", '{"uri": "a", "x": "\\ud800"}\n', "line 1: .*half a character"),
    ("m.jsonl", '{"uri": "a", "x": ' + "9" * 5000 + "}\n", "line 1: a number too long"),
    ("m.jsonl", '{"uri": "a", "x": ' + "[" * 200_000 + "}\n", "line 1: .*too deep"),
    ("m.jsonl", '{"uri": "' + "a" * 2**20 + '"}\n', "line 1: longer than"),
    ("m.jsonl", "", "no rows"),
    ("m.jsonl", "\n \n", "no rows"),
    ("m.csv", "", "no rows"),
    ("m.csv", "uri,id\n", "no rows"),
    ("m.csv", "picture;id\na;1\n", "line 2: .* found are 'picture;id'"),
    ("m.csv", "uri,id\na,1\nb\n", "line 3: 1 fields, but the header has 2"),
    ("m.csv", "uri,id\na,1\nb,2,3\n", "line 3: 3 fields, but the header has 2"),
    ("m.csv", 'uri,id\na,1\n"b,2\n', "line 3: not CSV"),
    ("m.csv", "uri,uri\na,b\n", "the column 'uri' stands there twice"),
    ("m.csv", "uri,id\n,1\n", "line 2: uri must be"),
    ("m.csv", b"uri\na\n\xff\n", "line 3: not UTF-8"),
    ("m.txt", b"a.jpg\n\xff.jpg\n", "line 2: not UTF-8"),
    ("m.txt", "# only a comment\n", "no rows"),
    ("m.csv.gz", "uri\na.jpg\n", "line 1: cannot be read"),
    ("m.txt.gz", gzip.compress(b"a.jpg\n" * 999, mtime=0)[:-9], "cannot be read"),
    ("m.parquet", "uri\na.jpg\n", "not a Parquet file"),
    ("m.parquet", "", "not a Parquet file"),
    ("m.xlsx", "x", "unknown suffix.*.parquet"),
    ("m.parquet.gz", "x", "unknown suffix"),
    ("m.json", "[]", "unknown suffix"),
]


@pytest.mark.parametrize(("name", "data", "message"), REFUSED)
def test_a_manifest_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, spools: Path, name: str, data: bytes | str, message: str
):
    path = written(tmp_path / name, data)
    with pytest.raises(JobError, match=message) as caught:
        rows_of(path, spools)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style_uri": "x.jpg", "style_weight": 0}, "above 0"),
        ({"style_uri": "x.jpg", "style_weight": -1}, "above 0"),
        ({"style_uri": "x.jpg", "style_weight": 1001}, "at most 1000"),
        ({"style_uri": "x.jpg", "style_weight": "heavy"}, "not 'heavy'"),
        ({"style_uri": "x.jpg", "style_weight": True}, "not True"),
        ({"style_uri": "x.jpg", "style_weight": float("nan")}, "not nan"),
        ({"style_uri": "x.jpg", "style_weight": 10**400}, "above 0"),
        ({"style_uri": "x.jpg", "style_weight": [1, 2]}, "2 style_weight for 1 style_uri"),
        ({"style_uri": ["x.jpg", "y.jpg"], "style_weight": 1}, "1 style_weight for 2"),
        ({"style_weight": 1}, "style_weight without style_uri"),
        ({"style_uri": None, "style_weight": 1}, "style_weight without style_uri"),
        ({"style_uri": ["x.jpg", ""]}, "style_uri must be"),
        ({"style_uri": 7}, "style_uri must be"),
        ({"style_uri": {"uri": "x.jpg"}}, "style_uri must be"),
        ({"style_uri": "[x.jpg"}, "style_uri starts a list"),
        ({"style_uri": "x.jpg", "mask_uri": ["m.png", None]}, "2 mask_uri for 1 style_uri"),
        ({"style_uri": ["x.jpg", "y.jpg"], "mask_uri": "m.png"}, "1 mask_uri for 2 style_uri"),
        ({"mask_uri": 7}, "mask_uri must be"),
        ({"mask_uri": " "}, "mask_uri must be"),
        ({"mask_uri": ["m.png", 7]}, "mask_uri must be"),
        ({"mask_uri": "[m.png"}, "mask_uri starts a list"),
        ({"mask_uri": '["\\ud800.png"]'}, "mask_uri starts a list"),
        ({"style_uri": '["\\ud800.png"]'}, "style_uri starts a list"),
        ({"id": [1]}, "id must be text or a number"),
        ({"id": True}, "id must be text or a number"),
    ],
)
def test_a_value_out_of_its_range_refuses_the_manifest(
    tmp_path: Path, spools: Path, values: dict[str, Any], message: str
):
    path = written(tmp_path / "m.jsonl", lines({"uri": "a.jpg"}, {"uri": "b.jpg", **values}))
    with pytest.raises(JobError, match=f"line 2: .*{message}"):
        rows_of(path, spools)


@pytest.mark.parametrize(
    ("values", "uris", "weights"),
    [
        ({"style_uri": "x.jpg"}, ("x.jpg",), ()),
        ({"style_uri": "x.jpg", "style_weight": 2}, ("x.jpg",), (2.0,)),
        ({"style_uri": "x.jpg", "style_weight": "0.5"}, ("x.jpg",), (0.5,)),
        ({"style_uri": ["x.jpg"], "style_weight": [2]}, ("x.jpg",), (2.0,)),
        ({"style_uri": [], "style_weight": None}, (), ()),
        ({"style_uri": "", "style_weight": ""}, (), ()),
    ],
)
def test_a_row_may_name_its_own_styles(
    tmp_path: Path, spools: Path, values: dict[str, Any], uris: Any, weights: Any
):
    (row,) = rows_of(written(tmp_path / "m.jsonl", lines({"uri": "a.jpg", **values})), spools)
    assert (row.style_uris, row.style_weights) == (uris, weights)


@pytest.mark.parametrize(
    ("mask_uri", "masks"),
    [
        ("m.png", ("m.png",)),
        (["m.png", None, ""], ("m.png", "", "")),
        ('["m.png", "n.png"]', ("m.png", "n.png")),
        ([None], ("",)),
        ([], ()),
        ("", ()),
        (None, ()),
    ],
)
def test_a_row_may_name_masks_of_which_an_empty_one_is_everywhere(
    tmp_path: Path, spools: Path, mask_uri: object, masks: tuple[str, ...]
):
    (row,) = rows_of(
        written(tmp_path / "m.jsonl", lines({"uri": "a", "mask_uri": mask_uri})), spools
    )
    assert (row.mask_uris, row.extra) == (masks, {})


def test_a_fault_in_a_parquet_row_has_its_number(tmp_path: Path, spools: Path):
    pq.write_table(pa.table({"uri": ["a.jpg", None]}), tmp_path / "m.parquet")
    with pytest.raises(JobError, match=r"m\.parquet: row 2: uri must be"):
        rows_of(tmp_path / "m.parquet", spools)


def test_a_truncated_parquet_file_refuses_the_job(tmp_path: Path, spools: Path):
    pq.write_table(pa.table({"uri": ["a.jpg"] * 100}), tmp_path / "whole.parquet")
    data = (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(JobError, match="not a Parquet file"):
        rows_of(written(tmp_path / "m.parquet", data[: len(data) // 2]), spools)


@pytest.mark.parametrize("spelled", ["photos", "photos/", "photos/."])
def test_a_folder_is_listed(tmp_path: Path, spools: Path, spelled: str):
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("b.jpg", "a.jpg", "deep/c.jpg", ".hidden.jpg"):
        written(tmp_path / "photos" / name, name)
    manifest = spool_manifest(Store(), f"{tmp_path}/{spelled}", spools)
    rows = [row for rows in read_rows(manifest) for row in rows]
    folder = f"{tmp_path}/photos"
    assert [row.content_uri for row in rows] == [
        f"{folder}/{name}" for name in ("a.jpg", "b.jpg", "deep/c.jpg")
    ]
    assert (manifest.base_uri, rows[0].version, rows[0].extra) == (folder, None, {})


def test_the_digest_of_a_listing_changes_with_the_files(tmp_path: Path, spools: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    digests = set()
    for name, data in (("a.jpg", "1"), ("b.jpg", "1"), ("a.jpg", "longer")):
        written(photos / name, data)
        digests.add(spool(photos, spools).digest)
        assert spool(photos, spools).digest in digests
    assert len(digests) == 3


def test_an_empty_folder_has_no_rows(tmp_path: Path, spools: Path):
    (tmp_path / "photos").mkdir()
    assert rows_of(tmp_path / "photos", spools) == []


def test_a_file_name_that_is_no_text_becomes_a_row_that_is_refused_later(
    tmp_path: Path, spools: Path
):
    (tmp_path / "photos").mkdir()
    with open(os.fsencode(tmp_path / "photos") + b"/\xff.jpg", "wb"):
        pass
    (row,) = rows_of(tmp_path / "photos", spools)
    assert row.content_uri.endswith("\\udcff.jpg")


@pytest.mark.parametrize(
    "name", ["nothing.jsonl", "nothing", "nothing/", "http://x/m.csv", "s3://inbox/../m.csv", ""]
)
def test_a_manifest_that_cannot_be_there_refuses_the_job(tmp_path: Path, spools: Path, name: str):
    uri = name if ":" in name or not name else f"{tmp_path}/{name}"
    with pytest.raises(JobError, match="manifest: "):
        spool_manifest(Store(), uri, spools)


def test_rows_come_in_batches(tmp_path: Path, spools: Path):
    path = written(tmp_path / "m.txt", "a.jpg\n" * 25)
    assert [len(rows) for rows in read_rows(spool(path, spools), batch_rows=10)] == [10, 10, 5]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_memory_does_not_grow_with_the_manifest(tmp_path: Path, spools: Path, kind: str):
    uris = [f"s3://inbox/photos/{number:08d}.jpg" for number in range(1_000_000)]
    path = tmp_path / f"m.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"uri": uris}), path, row_group_size=len(uris))
    elif kind == "csv":
        written(path, "uri\n" + "\n".join(uris))
    else:
        written(path, "\n".join(f'{{"uri": "{uri}"}}' for uri in uris))
    code = (
        "import re, sys; from pathlib import Path; from stylecore.batch.store import Store; "
        "from stylecore.batch.manifest import read_rows, spool_manifest; "
        "manifest = spool_manifest(Store(), sys.argv[1], Path(sys.argv[2])); "
        "assert sum(map(len, read_rows(manifest))) == 1_000_000; "
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    command = [sys.executable, "-c", code, str(path), str(spools)]
    peak_kb = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert peak_kb < 400 * 1024
