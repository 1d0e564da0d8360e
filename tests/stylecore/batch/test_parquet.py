"""Parquet is read in the calling thread alone, so that no thread of Arrow's outlives a command.

Whether such a thread aborts the process at its exit is a matter of luck; that it exists is not.
"""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stylecore.batch.parquet import decode_table, encode_table

TABLE = pa.table({"uri": ["a.jpg", None], "side": [1, 2], "tags": [["x"], []]})
COUNT = """
import sys
from pathlib import Path

import numpy  # its threads are not ours to count

from stylecore.batch.manifest import read_rows, spool_manifest
from stylecore.batch.parquet import decode_table
from stylecore.batch.store import Store

def threads():
    names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return sum("jemalloc" not in name for name in names)

path, spools = Path(sys.argv[2]), Path(sys.argv[3])
before = threads()
if sys.argv[1] == "table":
    assert decode_table(path.read_bytes()).num_rows == 2
else:
    rows = read_rows(spool_manifest(Store(), str(path), spools))
    assert sum(map(len, rows)) == 2
print(threads() - before)
"""


def test_a_table_comes_back_as_it_was() -> None:
    assert decode_table(encode_table(TABLE)).equals(TABLE)
    assert decode_table(encode_table(TABLE.slice(0, 0))).equals(TABLE.slice(0, 0))


def test_bytes_that_are_not_parquet_are_refused() -> None:
    with pytest.raises(pa.ArrowException):
        decode_table(b"PAR1 and no more")


@pytest.mark.parametrize("what", ["table", "manifest"])
def test_reading_starts_no_thread(what: str, tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"uri": ["s3://in/a.jpg", "s3://in/b.jpg"], "side": [1, 2]}), path)
    command = [sys.executable, "-c", COUNT, what, str(path), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0"]
