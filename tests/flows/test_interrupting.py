"""Ctrl-C or SIGTERM in the middle of a run: soon over, nothing half made, the next run goes on."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import STYLEBATCH, clean_environment, run_stylebatch
from local_jobs import LocalBucket
from PIL import Image

pytestmark = pytest.mark.flow

FIRST_PICTURE_S = 90
LEAVING_S = 15


def request(bucket: LocalBucket) -> list[str]:
    """A job whose pictures take some seconds each on one core, tiny ones a fraction of that."""
    return [
        *("run", "--manifest", f"{bucket.photographs}/", "--output", str(bucket.output)),
        *("--style", str(bucket.folder / "wave.jpg"), "--max-side-px", "160"),
        *("--set", "optimize.num_evaluations=10", "--set", "device=cpu"),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_soon_and_whole_and_the_next_one_finishes_it(
    bucket: LocalBucket, harness: str, number: signal.Signals
) -> None:
    bucket.fill(2)
    enlarge(bucket.photographs / "photo01.jpg")
    environment = clean_environment(
        bucket.folder, {"PREFECT_API_URL": harness, "OMP_NUM_THREADS": "1"}
    )
    with started(bucket, environment) as process:
        wait_for_picture(bucket, process)
        process.send_signal(number)
        asked = time.monotonic()
        _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - asked < LEAVING_S
    assert process.returncode == 1, stderr
    assert len(stderr.splitlines()) <= 10, stderr
    assert "start the same command again" in stderr
    assert "Traceback" not in stderr
    assert len(bucket.pictures()) == 1
    assert_whole(bucket)
    assert not list(bucket.output.glob("runs/*/results/*"))
    found = {path: path.stat().st_mtime_ns for path in bucket.pictures()}
    answer = run_stylebatch(*request(bucket), home=bucket.folder, environment=environment)
    assert (answer.code, answer.lines[0]) == (0, "made 2, skipped 0, failed 0")
    assert {path: path.stat().st_mtime_ns for path in found} == found
    assert_whole(bucket)


def test_an_empty_prefix_ends_with_exit_code_0(bucket: LocalBucket, harness: str) -> None:
    bucket.fill(0)
    answer = run_stylebatch(
        *request(bucket), home=bucket.folder, environment={"PREFECT_API_URL": harness}
    )
    assert (answer.code, answer.lines[0]) == (0, "made 0, skipped 0, failed 0"), answer
    assert Path(answer.run_uri, "summary.json").exists()


@contextmanager
def started(bucket: LocalBucket, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [STYLEBATCH, *request(bucket)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=bucket.folder,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def enlarge(path: Path) -> None:
    """Make a photograph take longer than its neighbours."""
    with Image.open(path) as image:
        large = image.resize((160, 160))
    large.save(path)


def wait_for_picture(bucket: LocalBucket, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + FIRST_PICTURE_S
    while not bucket.pictures():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no picture in time"
        time.sleep(0.05)


def assert_whole(bucket: LocalBucket) -> None:
    files = [path for path in bucket.output.glob("images/**/*") if path.is_file()]
    assert [path for path in files if path.name.startswith(".")] == []
    for path in files:
        with Image.open(path) as image:
            image.load()
            assert max(image.size) in (96, 160)
