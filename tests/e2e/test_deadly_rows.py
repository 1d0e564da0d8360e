"""Rows that end processes, by a fault outside of Python or by their size: the rest goes on."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import STYLEBATCH, Answer, clean_environment
from local_jobs import LocalBucket
from PIL import Image
from reliability import See

from stylecore.batch.store import Store
from tasks.preparing import prepare_run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability]

# A decoder that corrupts its memory, in every process that is started beside it.
POISON = """
import ctypes
import stylecore.images.codec as codec

decoded = codec.decoded

def poisoned(data, uri, limits):
    if uri.endswith("/in/photo04.jpg"):
        ctypes.string_at(0)
    return decoded(data, uri, limits)

codec.decoded = poisoned
"""
LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.storage import open_run

ledger = open_run(sys.argv[1])
import tasks.shard_line
kilobytes = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0])
limit = 1024 * kilobytes + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
work_through_shard(ledger, ShardRequest(sys.argv[1], 0, "session", device="cpu"))
"""


def test_a_row_that_crashes_the_process_is_set_aside_at_the_second_start(
    tmp_path: Path, prefect_url: str, seen: See
) -> None:
    bucket = LocalBucket(tmp_path)
    bucket.fill(9)
    (tmp_path / "sitecustomize.py").write_text(POISON)
    first, _ = run(bucket, prefect_url)
    assert first.code == -signal.SIGSEGV, first
    second, seconds = run(bucket, prefect_url)
    assert second.code == 3, second
    assert second.lines[1] == "  crashed: 1"
    failed = [row for row in bucket.results() if row["status"] == "failed"]
    assert [Path(row["content_uri"]).name for row in failed] == ["photo04.jpg"]
    assert "SIGSEGV" in failed[0]["error_message"]
    assert len(bucket.pictures()) == 8
    assert "Traceback" not in second.stderr
    third, _ = run(bucket, prefect_url)
    assert (third.code, third.lines[0]) == (3, "made 0, skipped 8, failed 1")
    seen(
        "one of 9 rows crashes its process (SIGSEGV)",
        "found at the second start, failed with `crashed`; the others are made",
        f"second start {seconds:.0f} s",
    )


def test_a_prefix_that_changes_every_night_meets_a_deadly_row_but_once(
    tmp_path: Path, prefect_url: str, seen: See
) -> None:
    bucket = LocalBucket(tmp_path)
    bucket.fill(9)
    (tmp_path / "sitecustomize.py").write_text(POISON)
    nights, pictures = [], []
    for night in range(4):
        arrived = bucket.photographs / f"arrived{night}.jpg"
        arrived.write_bytes((bucket.photographs / "photo00.jpg").read_bytes() + bytes(night))
        nights.append(run(bucket, prefect_url)[0])
        pictures.append(len(bucket.pictures()))
    assert [night.code for night in nights] == [-signal.SIGSEGV, 3, 3, 3], nights
    assert pictures[1:] == [10, 11, 12]
    assert [night.lines[1] for night in nights[1:]] == ["  crashed: 1"] * 3
    assert len(list(bucket.output.glob("runs/*/job.json"))) == 4
    seen(
        "a photograph that crashes its process, in a prefix that changes every night",
        "the first night dies of it; each later one is another run, tries it once apart, "
        "and makes all others",
        f"exit codes {', '.join(str(night.code) for night in nights)}",
    )


def run(bucket: LocalBucket, prefect_url: str) -> tuple[Answer, float]:
    """Start the job, and say how long it took."""
    started = time.monotonic()
    words = ["--manifest", "in/", "--style", "wave.jpg", "--output", "out", "--max-side-px", "32"]
    names = {"PREFECT_API_URL": prefect_url, "PYTHONPATH": str(bucket.folder)}
    done = subprocess.run(
        [STYLEBATCH, "run", *words, "--method", "identity", "--set", "limits.rows_per_shard=3"],
        cwd=bucket.folder,
        env=clean_environment(bucket.folder, names),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr), time.monotonic() - started


def test_a_picture_that_does_not_fit_in_memory_fails_alone(tmp_path: Path, seen: See) -> None:
    bucket = LocalBucket(tmp_path)
    bucket.fill(6)
    side_px, spare_bytes = 7000, 200 * 2**20
    huge = io.BytesIO()
    Image.linear_gradient("L").resize((side_px, side_px)).convert("RGB").save(huge, "JPEG")
    (bucket.photographs / "photo02.jpg").write_bytes(huge.getvalue())
    ledger = prepare_run(Store(), bucket.job(method="identity"))
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, ledger.run_uri, str(spare_bytes)],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done
    codes = [row["error_code"] for row in bucket.results()]
    assert codes == [None, None, "out_of_memory", None, None, None]
    seen(
        f"a photograph of {side_px**2 / 1e6:.0f} megapixels with {spare_bytes >> 20} MB to spare",
        "`out_of_memory` for this row, the others are made",
        f"{len(bucket.pictures())} of 6 made",
    )
