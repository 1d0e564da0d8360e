"""Planning a million rows: `stylebatch plan`, seconds and peak memory by manifest format.

Targets: Parquet 30 s and 600 MB, JSON lines 120 s.
"""

import json
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tables import STYLEBATCH, measure, show

ROWS = 1_000_000
TARGETS = {"manifest.parquet": "30 s, 600 MB", "manifest.jsonl": "120 s"}


def main() -> None:
    """Make both manifests, plan each, and show what it took."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("RGB", (64, 64), "navy").save(folder / "style.png")
        write_manifests(folder, rows)
        for manifest, target in TARGETS.items():
            plan = [STYLEBATCH, "plan", "--manifest", str(folder / manifest)]
            plan += ["--style", str(folder / "style.png"), "--output", str(folder / "out")]
            took = measure([*plan, "--allow", "s3://photographs"])
            if f"pictures    {rows}" not in took.stdout:
                raise SystemExit(took.stdout)
            cells = [f"{took.seconds:.1f}", f"{took.cpu_seconds:.1f}", f"{took.peak_mb:.0f}"]
            lines.append([manifest.partition(".")[2], str(rows), *cells, target])
    show("stylebatch plan", ["manifest", "rows", "s", "CPU s", "peak MB", "target"], lines)


def write_manifests(folder: Path, rows: int) -> None:
    """The same rows as Parquet and as JSON lines: an id, an S3 URI, and a column of their own."""
    ids = [f"photo-{number:07d}" for number in range(rows)]
    uris = [f"s3://photographs/{number % 1000:03d}/{number:07d}.jpg" for number in range(rows)]
    albums = [f"album {number % 97}" for number in range(rows)]
    table = pa.table({"id": ids, "content_uri": uris, "album": albums})
    pq.write_table(table, folder / "manifest.parquet")
    with (folder / "manifest.jsonl").open("w") as file:
        for row_id, uri, album in zip(ids, uris, albums, strict=True):
            row = {"id": row_id, "content_uri": uri, "album": album}
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
