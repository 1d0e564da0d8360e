"""Rows that end the process that makes them: found, set aside, and the rest goes on."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from command_line import clean_environment
from dead_processes import leave_dead_claim, poison
from local_jobs import LocalBucket

from stylecore.batch.claims import holder_of
from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import RunStoppedError
from tasks.preparing import prepare_run
from tasks.progress import Tally
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.stopping import stop_flag

slow = pytest.mark.slow  # each starts processes

WORKER = """
import sys
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.storage import open_run
work_through_shard(open_run(sys.argv[1]), ShardRequest(sys.argv[1], 0, "s"))
"""


@pytest.fixture
def dead(bucket: LocalBucket) -> RunLedger:
    """Five photographs in a shard whose worker died."""
    bucket.fill(5)
    ledger = prepare_run(Store(), bucket.job(method="identity"))
    leave_dead_claim(ledger)
    return ledger


def work(ledger: RunLedger, **fields: object) -> Tally | None:
    values = {"session": uuid4().hex, "device": "cpu", **fields}
    return work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, **values))


def outcomes(bucket: LocalBucket) -> Sequence[tuple[str, str | None]]:
    return [(row["status"], row["error_code"]) for row in bucket.results()]


MADE = ("made", None)


def test_a_shard_whose_worker_died_is_made_apart_and_comes_out_the_same(
    bucket: LocalBucket, dead: RunLedger, tmp_path: Path
) -> None:
    tally = work(dead)
    assert tally is not None
    assert (tally.made, tally.failed) == (5, 0)
    apart = {path.name: path.read_bytes() for path in bucket.pictures()}
    whole = LocalBucket(tmp_path / "other")
    whole.folder.mkdir()
    whole.fill(5)
    work(prepare_run(Store(), whole.job(method="identity")))
    assert apart == {path.name: path.read_bytes() for path in whole.pictures()}
    same = ("row_id", "status", "output_sha256", "lpips_content", "width_px", "shard", "attempt")
    lines = [[row[name] for name in same] for row in bucket.results()]
    assert lines == [[row[name] for name in same] for row in whole.results()]


@pytest.mark.parametrize(
    ("act", "code", "words"),
    [
        ("os.kill(pid, signal.SIGSEGV)", "crashed", "ended by SIGSEGV"),
        pytest.param("os.abort()", "crashed", "ended by SIGABRT", marks=slow),
        pytest.param("os._exit(3)", "crashed", "exit code 3", marks=slow),
        pytest.param(
            "os.kill(pid, signal.SIGKILL)", "out_of_memory", "where memory runs out", marks=slow
        ),
    ],
)
def test_the_row_that_ends_the_process_is_set_aside_and_the_others_are_made(
    bucket: LocalBucket,
    dead: RunLedger,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    code: str,
    words: str,
) -> None:
    poison(monkeypatch, bucket.folder, act)
    work(dead)
    assert outcomes(bucket) == [MADE, MADE, ("failed", code), MADE, MADE]
    assert words in bucket.results()[2]["error_message"]


@slow
def test_a_row_that_was_set_aside_is_tried_again_apart(
    bucket: LocalBucket, dead: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, bucket.folder, "os.abort()")
    work(dead)
    work(dead, retry="failed")
    assert [row["error_code"] for row in bucket.results() if row["attempt"] == 2] == ["crashed"]
    monkeypatch.delenv("PYTHONPATH")
    work(dead, retry="failed")
    assert [row["status"] for row in bucket.results() if row["attempt"] == 3] == ["made"]


@slow
def test_a_crash_does_not_pass_by_itself(
    bucket: LocalBucket, dead: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, bucket.folder, "os.abort()")
    work(dead)
    assert work(dead, retry="passing") == Tally(made=4, failed=1, failed_by_code={"crashed": 1})


@slow
def test_somebody_who_ends_the_other_process_sets_no_row_aside(
    bucket: LocalBucket, dead: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, bucket.folder, "os.kill(pid, signal.SIGTERM)")
    with pytest.raises(RuntimeError, match="SIGTERM"):
        work(dead)
    assert bucket.results() == []
    monkeypatch.delenv("PYTHONPATH")
    work(dead)
    assert outcomes(bucket) == [MADE] * 5


def row_processes() -> list[psutil.Process]:
    """The processes for rows that there are."""
    found = psutil.process_iter(["cmdline", "status"])
    return [p for p in found if "tasks.row_process" in (p.info["cmdline"] or [])]


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@slow
def test_a_stop_ends_the_other_process_and_leaves_the_shard(
    bucket: LocalBucket, dead: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, bucket.folder, "import time; time.sleep(3)")
    session = uuid4().hex

    def stop() -> None:
        wait_until(lambda: len(bucket.pictures()) == 2)
        stop_flag(session).set()

    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop)
        with pytest.raises(RunStoppedError):
            work(dead, session=session)
        stopping.result()
    assert (len(bucket.pictures()), bucket.results()) == (2, [])
    assert row_processes() == []
    assert holder_of(dead, 0) is None


@slow
def test_the_other_process_ends_with_the_one_that_started_it(
    bucket: LocalBucket, dead: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, bucket.folder, "import time; time.sleep(3)")
    environment = clean_environment(bucket.folder, {"PYTHONPATH": str(bucket.folder)})
    worker = subprocess.Popen([sys.executable, "-c", WORKER, dead.run_uri], env=environment)
    wait_until(lambda: len(bucket.pictures()) == 2)
    assert len(row_processes()) == 1
    worker.kill()
    worker.wait()
    wait_until(lambda: not row_processes())
    assert (len(bucket.pictures()), bucket.results()) == (2, [])
