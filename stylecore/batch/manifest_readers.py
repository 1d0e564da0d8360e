"""The formats of manifests, read record by record in constant memory; faults have exact places."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Literal, NoReturn

from stylecore.errors import JobError

ManifestKind = Literal["parquet", "jsonl", "csv", "text", "listing"]
Record = tuple[tuple[str, ...], Sequence[object]]

_MAX_LINE_BYTES: Final = 1 << 20
_BUFFER_BYTES: Final = 1 << 20
_PARQUET_ROWS: Final = 10_000


class RecordReader:
    """Records of one manifest file: column names and values, in order.

    ``place`` tells where the last record, or the fault, is: ``line 3`` or ``row 3``, from 1.
    """

    def __init__(self, path: Path, uri: str, kind: ManifestKind, is_gzipped: bool) -> None:
        self._path = path
        self._uri = uri
        self._kind = kind
        self._is_gzipped = is_gzipped
        self._unit = "row" if kind == "parquet" else "line"
        self._number = 0

    def __iter__(self) -> Iterator[Record]:
        return _READERS[self._kind](self)

    def refuse(self, reason: str) -> NoReturn:
        """Refuse the manifest for what is wrong at the current place."""
        raise JobError(f"{self._uri}: {self._unit} {max(self._number, 1)}: {reason}")

    def _jsonl(self) -> Iterator[Record]:
        for line in self._lines():
            if line.isspace():
                continue
            record = self._parse_json(line)
            if not isinstance(record, dict):
                self.refuse("not a JSON object in braces")
            yield tuple(record), tuple(record.values())

    def _parse_json(self, line: str) -> object:
        try:
            record = json.loads(line)
            if "\\u" in line:
                # Escapes can spell surrogates, which are no text; no result file takes them.
                json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            self.refuse("an escape (\\ud800 to \\udfff) that is half a character")
        except json.JSONDecodeError as error:
            self.refuse(f"not JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError):
            self.refuse("a number too long, or lists too deep, to read")
        return record

    def _csv(self) -> Iterator[Record]:
        rows = csv.reader(self._lines(), strict=True)
        names: tuple[str, ...] = ()
        try:
            for row in rows:
                if not row:
                    continue
                if not names:
                    names = tuple(row)
                elif len(row) == len(names):
                    yield names, row
                else:
                    self.refuse(f"{len(row)} fields, but the header has {len(names)}")
        except csv.Error as error:
            self.refuse(f"not CSV: {error}")

    def _text(self) -> Iterator[Record]:
        for line in self._lines():
            uri = line.rstrip("\r\n")
            if uri and not uri.isspace() and not uri.startswith("#"):
                yield ("content_uri",), (uri,)

    def _parquet(self) -> Iterator[Record]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # Without a buffer of its own, a file with one row group would be read as a whole.
            with pq.ParquetFile(self._path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                names = tuple(file.schema_arrow.names)
                # Without threads: see stylecore.batch.parquet.
                for batch in file.iter_batches(_PARQUET_ROWS, use_threads=False):
                    for values in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                        self._number += 1
                        yield names, values
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            self._number += 1
            self.refuse(
                f"not a Parquet file that can be read: {' '.join(str(error).split())[:300]}"
            )

    def _lines(self) -> Iterator[str]:
        """Lines of text, decoded one by one so that a fault has a line number."""
        try:
            with self._open() as file:
                for raw in iter(partial(file.readline, _MAX_LINE_BYTES), b""):
                    self._number += 1
                    if len(raw) == _MAX_LINE_BYTES:
                        self.refuse(f"longer than {_MAX_LINE_BYTES} bytes")
                    yield raw.decode("utf-8" if self._number > 1 else "utf-8-sig")
        except UnicodeDecodeError:
            self.refuse("not UTF-8 text")
        except (OSError, EOFError, zlib.error) as error:
            self._number += 1
            self.refuse(f"cannot be read: {error}")

    def _open(self) -> BinaryIO:
        if not self._is_gzipped:
            return self._path.open("rb", _BUFFER_BYTES)
        return io.BufferedReader(gzip.open(self._path, "rb"), _BUFFER_BYTES)


_READERS: Final[dict[ManifestKind, Callable[[RecordReader], Iterator[Record]]]] = {
    "parquet": RecordReader._parquet,
    "jsonl": RecordReader._jsonl,
    "csv": RecordReader._csv,
    "text": RecordReader._text,
}
