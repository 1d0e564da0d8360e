"""Whatever a manifest holds, it becomes a plan or is refused in words, whichever format it has."""

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import fuzz, mutate, refusal
from reliability import See

from stylecore.batch.ledger import RunLedger
from stylecore.batch.manifest import SpooledManifest, read_rows
from stylecore.batch.manifest_readers import ManifestKind
from stylecore.batch.planning import RowReader, cut_shards, scan_manifest
from stylecore.batch.store import Store
from stylecore.batch.uris import AllowList
from stylecore.errors import JobError

FOLDER = "/photographs"
STYLE = ((f"{FOLDER}/wave.jpg",), (1.0,))
ALLOWED_MB = 300
URIS = [b"a.jpg", b"/photographs/b.jpg", b"s3://inbox/c.jpg", b"simplecache::s3://x/y", b"../d.jpg"]
ODD = [b"\x00", b"\n", b"\r", b"\x1b[2J", "\u2028\u202e".encode(), b"\xed\xa0\x80", b"\xff\xfe"]
WORDS = [b"id", b"uri", b"style_uri", b"style_weight", b"mask_uri", b"content_version", b"style"]
NUMBERS = [b"1e999", b"-0", b"9" * 30, b"9007199254740993", b"NaN", b"0.1", b"null", b"true"]
JSON_TOKENS = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\ud800", b"\\u0000", b'"uri":"a.jpg"']
JSONL = [
    b'{"uri": "a.jpg", "id": "1", "note": 1.5}\n{"uri": "b.jpg", "id": "2", "note": [1, null]}\n',
    b'{"content_uri": "a.jpg", "style_uri": ["s.jpg", "t.jpg"], "style_weight": [1, 2]}\n',
    b'{"file_name": "a.jpg", "style_uri": "s.jpg", "mask_uri": "m.png", "error_code": true}\n\n',
]
CSV = [
    b"uri,id,note\na.jpg,1,x\nb.jpg,2,\n",
    b'content_uri,style_uri,style_weight\na.jpg,"[""s.jpg"", ""t.jpg""]","[1, 2]"\n',
    b'file_name,mask_uri,style_uri\r\n"a,b.jpg",m.png,s.jpg\r\n',
]
TEXT = [b"# photographs\na.jpg\n\nb.jpg\n", b"\xef\xbb\xbfs3://inbox/a.jpg\r\n", b"c.jpg"]


def parquet(**columns: list[object]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


PARQUET = [
    parquet(uri=["a.jpg", "b.jpg"], id=[1, 2], note=[[1.5], None]),
    parquet(content_uri=["a.jpg"], style_uri=[["s.jpg", "t.jpg"]], style_weight=[[1.0, 2.0]]),
    parquet(file_name=["a.jpg"] * 50, error_code=[b"\xff"] * 50),
]
TEXTS = [*URIS, *ODD, *WORDS, *NUMBERS]
FORMATS: dict[str, tuple[ManifestKind, list[bytes], list[bytes]]] = {
    "jsonl": ("jsonl", JSONL, [*TEXTS, *JSON_TOKENS]),
    "csv": ("csv", CSV, [*TEXTS, b",", b'"', b'""', b"uri,id\n"]),
    "txt": ("text", TEXT, [*TEXTS, b"#"]),
    "parquet": ("parquet", PARQUET, [*TEXTS, b"PAR1", b"\x15\x00", b"\xff" * 8]),
    "csv.gz": ("csv", [gzip.compress(data, 1) for data in CSV], [b"\x1f\x8b\x08", *ODD]),
}


class MemoryStore(Store):
    """Plans are written to memory: this is about what is in them."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write_bytes(self, uri: str, data: bytes, content_type: str | None = None) -> None:
        self.data = data

    def read_bytes(self, uri: str, max_bytes: int = 0) -> tuple[bytes, str]:
        return self.data, ""


@pytest.mark.reliability
@pytest.mark.parametrize("name", FORMATS)
def test_any_manifest_is_planned_or_refused(
    name: str, fuzz_inputs: int, tmp_path: Path, seen: See
) -> None:
    kind, bases, tokens = FORMATS[name]
    path = tmp_path / "manifest"
    manifest = SpooledManifest(f"{FOLDER}/m.{name}", path, "", FOLDER, kind, name.endswith(".gz"))
    allowed = AllowList([FOLDER, "s3://inbox"])
    planned = 0

    def check(data: bytes) -> None:
        nonlocal planned
        path.write_bytes(data)
        refused = refusal(JobError, lambda: plan(manifest, allowed, planned % 10 == 0))
        planned += refused is None
        assert (refused or "").isprintable()  # one line, and nothing that a terminal would obey

    done = fuzz(fuzz_inputs, lambda chance: mutate(chance, bases, tokens), check)
    assert 0 < planned < done.inputs
    assert done.megabytes < ALLOWED_MB
    seen(f"damaged and hostile manifests (.{name})", "planned, or refused in words", str(done))


def plan(manifest: SpooledManifest, allowed: AllowList, is_written: bool) -> None:
    """What planning does with a manifest; writing the plan takes longest, and is left out often."""
    numbers = [row.number for rows in read_rows(manifest) for row in rows]
    assert numbers == list(range(len(numbers)))
    reader = RowReader(manifest, [STYLE], allowed)
    scan, count = scan_manifest(reader), 0
    for shard in cut_shards(reader, scan, 100):
        if is_written:
            ledger = RunLedger(MemoryStore(), "/output", "0123")
            ledger.write_shard_plan(shard, scan.styles[shard.style_index], scan.extra)
        assert len(shard.rows) > 0
        count += len(shard.rows)
        for row in shard.rows:
            assert (row.error_code is None) == (row.error_message is None)
            assert row.error_message is None or row.error_message.isprintable()
    assert count == scan.planned
