"""Whatever a manifest holds, it gives rows or a ``JobError``, and nothing else."""

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylecore.batch.manifest import ManifestRow, read_rows, spool_manifest
from stylecore.batch.store import Store
from stylecore.errors import JobError

moderate = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
columns = st.sampled_from(
    ["uri", "content_uri", "id", "style_uri", "style_weight", "mask_uri", "x"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(columns, v))
records = st.lists(st.dictionaries(columns, values, max_size=5), max_size=4)


def read(name: str, data: bytes) -> list[ManifestRow] | None:
    """Rows, or None where the manifest is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        refusal = None
        try:
            manifest = spool_manifest(Store(), str(path), Path(folder))
            rows = [row for batch in read_rows(manifest) for row in batch]
        except JobError as error:
            refusal = str(error)
    if refusal is not None:
        assert refusal.encode()
        assert "\n" not in refusal
        return None
    for number, row in enumerate(rows):
        assert row.number == number
        assert row.content_uri.strip()
        assert row.id is None or row.id
        assert all(isinstance(v, str | int | float | None) for v in row.extra.values())
        repr(row).encode()
        json.dumps(row, ensure_ascii=False).encode()  # can be written to a plan
    return rows


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.txt", "m.parquet", "m.jsonl.gz"])
@moderate
@given(data=st.binary(max_size=200))
def test_any_bytes_are_rows_or_refused(name: str, data: bytes):
    read(name, data)


@moderate
@given(records)
def test_any_json_is_rows_or_refused(found: list[dict[str, object]]):
    data = "\n".join(json.dumps(record) for record in found).encode()
    assert read("m.jsonl", data) == read("m.jsonl.gz", gzip.compress(data))


@moderate
@given(st.text(st.sampled_from('uri,id"\n\r a[]é\0#;'), max_size=60))
def test_any_csv_is_rows_or_refused(text: str):
    read("m.csv", b"uri,id\n" + text.encode())
    read("m.csv", text.encode())


@moderate
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000))
def test_a_damaged_parquet_file_is_rows_or_refused(place: int, byte: int, length: int):
    sink = pa.BufferOutputStream()
    table = pa.table({"uri": [f"{n}.jpg" for n in range(50)], "x": [[1, 2]] * 50})
    pq.write_table(table, sink)
    data = bytearray(sink.getvalue().to_pybytes())
    data[place % len(data)] = byte
    read("m.parquet", bytes(data))
    read("m.parquet", bytes(data[: length % len(data)]))


@moderate
@given(st.binary(max_size=60), st.integers(0, 200))
def test_a_damaged_gzip_file_is_rows_or_refused(tail: bytes, length: int):
    data = gzip.compress(b"".join(b"photos/%d.jpg\n" % n for n in range(99)))
    read("m.txt.gz", data[:length] + tail)
