"""Tables as the bytes of small Parquet files, read and written in the calling thread alone.

``pq.read_table`` decodes in threads of Arrow's own, and one of them may let go of the bytes only
after the function has returned. For that it needs Python; if Python is shutting down by then, the
process is aborted: a command that did its work ends with exit code 134
(https://github.com/apache/arrow/issues/34314).
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq


def encode_table(table: pa.Table) -> bytes:
    """A Parquet file with the table."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def decode_table(data: bytes) -> pa.Table:
    """The table of a Parquet file; starts no thread.

    Raises:
        pyarrow.ArrowException: the bytes are not a Parquet file.
    """
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        return file.read(use_threads=False)
