"""Two processes on one run, in a local folder and in a bucket: every picture is made once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from command_line import clean_environment
from local_jobs import LocalBucket
from sample_images import GREAT_WAVE, make_photographs
from servers import S3Server

from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store

pytestmark = pytest.mark.flow

WORKER = Path(__file__).parent.parent / "slow_worker.py"
PHOTOGRAPHS = 8
WAIT_S = 240  # on a machine that does other things


@dataclass(frozen=True)
class Place:
    """A job that two processes will meet on, and what they wrote down."""

    folder: Path
    output_uri: str
    environment: dict[str, str]

    @contextmanager
    def worker(self, how: str) -> Iterator[subprocess.Popen[str]]:
        """Start one; how it is held up is told in ``slow_worker.py``."""
        command = [WORKER, self.folder / "job.yaml", self.log, how]
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @property
    def log(self) -> Path:
        """What was written by whom."""
        return self.folder / "log.jsonl"

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The writes so far."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def ledger(self, stdout: str) -> RunLedger:
        """The run whose URI was printed last."""
        return open_ledger(Store(), stdout.splitlines()[-1])


@pytest.fixture(params=["local", pytest.param("s3", marks=[pytest.mark.e2e, pytest.mark.slow])])
def place(request: pytest.FixtureRequest, bucket: LocalBucket, harness: str) -> Place:
    """Eight photographs in four shards, to be copied."""
    names = {"PREFECT_API_URL": harness, "OMP_NUM_THREADS": "1"}
    source = str(bucket.folder)
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_environment")
        names |= server.environment
        source = f"s3://inbox/{uuid4().hex}"
    for name, data in make_photographs(PHOTOGRAPHS).items():
        Store().write_bytes(f"{source}/in/{name}", data)
    Store().write_bytes(f"{source}/wave.jpg", GREAT_WAVE.read_bytes())
    output_uri = f"{source}/out"
    (bucket.folder / "job.yaml").write_text(
        f"manifest_uri: {source}/in/\nstyles: [{source}/wave.jpg]\noutput_uri: {output_uri}\n"
        "method: identity\nmax_side_px: 32\nlimits: {rows_per_shard: 2}\n"
    )
    return Place(bucket.folder, output_uri, clean_environment(bucket.folder, names))


def wait_for(place: Place, kind: str, process: subprocess.Popen[str]) -> None:
    """Until a process has written something of that kind."""
    deadline = time.monotonic() + WAIT_S
    while not any(line["pid"] == process.pid for line in place.lines(kind)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_consistent(place: Place, stdout: str) -> RunLedger:
    """Every picture and every shard once, and an outcome for every row."""
    ledger = place.ledger(stdout)
    outcomes = list(ledger.outcomes())
    assert [outcome.row_id for outcome in outcomes] == [str(n) for n in range(PHOTOGRAPHS)]
    assert {outcome.status for outcome in outcomes} == {"made"}
    written = Counter(line["uri"] for line in place.lines("picture"))
    made = {outcome.output_uri for outcome in outcomes}
    assert (set(written) - made, written.most_common(1)[0][1]) == (set(), 1)
    shards = Counter(line["uri"] for line in place.lines("results"))
    assert (len(shards), set(shards.values())) == (4, {1})
    return ledger


def test_two_processes_share_a_run_and_make_every_picture_once(place: Place) -> None:
    with place.worker("together") as first, place.worker("together") as second:
        answers = [process.communicate(timeout=WAIT_S) for process in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], answers
    assert_consistent(place, answers[0][0])
    written = place.lines("picture")
    assert len(written) == PHOTOGRAPHS
    assert {line["pid"] for line in written} == {first.pid, second.pid}


def test_what_a_killed_process_was_at_is_finished_by_the_other(place: Place) -> None:
    with place.worker("hang") as victim:
        wait_for(place, "picture", victim)
        (first,) = place.lines("picture")
        written_at = Store().head(first["uri"]).modified
        with place.worker("go on") as survivor:
            wait_for(place, "results", survivor)
            os.kill(victim.pid, signal.SIGKILL)
            stdout, stderr = survivor.communicate(timeout=WAIT_S)
        assert survivor.returncode == 0, stderr
    assert stdout.startswith("made 8, skipped 0, failed 0"), stdout
    ledger = assert_consistent(place, stdout)
    assert Store().head(first["uri"]).modified == written_at
    claims = [info.uri for info in ledger.store.list_objects(ledger.uri("claims"))]
    assert any(uri.endswith(".2.json") for uri in claims), claims
