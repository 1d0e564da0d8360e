"""One job on two machines over one bucket: dead, stopped, or both at the same moment."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from buckets import Workplace
from command_line import Answer, clean_environment
from nights import PATIENCE_S, odd_command
from reliability import See
from sample_images import GREAT_WAVE, make_photographs

from stylecore.batch.claims import STALE_AFTER_S

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(900),
]

Process = subprocess.Popen[str]
PHOTOGRAPHS = 12
ALL_MADE = f"made {PHOTOGRAPHS}, skipped 0, failed 0"


@dataclass(frozen=True)
class Job:
    """Twelve photographs in a bucket, in six shards, and who wrote what."""

    workplace: Workplace
    folder: Path
    words: tuple[str, ...]

    @contextmanager
    def machine(self, name: str, **habits: float) -> Iterator[Process]:
        """Start the job on a machine, whose pictures differ by some bytes from those of others."""
        always = {"machine": name, "salt": name, "log": str(self.log)}
        names = {**self.workplace.s3.environment, "PREFECT_API_URL": self.workplace.prefect_url}
        process = subprocess.Popen(
            [*odd_command(**always, **habits), *self.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(self.folder, {"OMP_NUM_THREADS": "1", **names}),
            cwd=self.folder,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def in_the_middle_of_a_shard(self) -> Iterator[tuple[Process, Process]]:
        """Machine a is at its second picture and does not finish it soon, b is at others."""
        with self.machine("a", quick=1, seconds=90.0) as a:
            self.wait_for("picture", a)
            with self.machine("b") as b:
                self.wait_for("picture", b)
                yield a, b

    @property
    def log(self) -> Path:
        """What was written by whom."""
        return self.folder / "log.jsonl"

    def written(self, kind: str, by: Process | None = None) -> list[dict[str, Any]]:
        """The pictures or results written so far, by one process or by all."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return [
            line for line in lines if line["kind"] == kind and (not by or line["pid"] == by.pid)
        ]

    def wait_for(self, kind: str, process: Process) -> None:
        """Until a process has written something of that kind."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.written(kind, process):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def assert_consistent(self, run_uri: str) -> None:
        """Every picture and every shard once, an outcome for every row, and all of it true."""
        rows = self.workplace.results(run_uri)
        assert sorted(int(row["row_id"]) for row in rows) == list(range(PHOTOGRAPHS))
        assert {row["status"] for row in rows} == {"made"}
        for kind, count in (("picture", PHOTOGRAPHS), ("results", 6)):
            times = Counter(line["uri"] for line in self.written(kind))
            assert (len(times), set(times.values())) == (count, {1}), times
        answer = self.workplace.stylebatch("verify", run_uri)
        assert answer.code == 0, answer


@pytest.fixture
def job(workplace: Workplace, tmp_path: Path) -> Job:
    name = uuid4().hex
    photographs = make_photographs(PHOTOGRAPHS)
    workplace.put({"wave.jpg": GREAT_WAVE.read_bytes()}, f"inbox/{name}")
    workplace.put(photographs, f"inbox/{name}/in")
    words = (
        "run",
        "--manifest",
        f"s3://inbox/{name}/in/",
        "--style",
        f"s3://inbox/{name}/wave.jpg",
    )
    words += ("--output", f"s3://outbox/{name}", "--method", "identity", "--max-side-px", "32")
    return Job(workplace, tmp_path, (*words, "--set", "limits.rows_per_shard=2"))


def finish(process: Process) -> Answer:
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    answer = Answer(process.returncode, stdout, stderr)
    assert answer.code == 0, answer
    return answer


def test_two_command_lines_at_the_same_moment_make_each_picture_once(job: Job, seen: See) -> None:
    with job.machine("a", together=2) as a, job.machine("b", together=2) as b:
        answers = [finish(a), finish(b)]
        shares = [len(job.written("picture", process)) for process in (a, b)]
    assert answers[0].run_uri == answers[1].run_uri
    assert all(answer.lines[0] == ALL_MADE for answer in answers), answers
    job.assert_consistent(answers[0].run_uri)
    assert min(shares) > 0
    seen(
        "the same job is started on two machines at the same moment, over S3",
        "one run, shared; every picture made once, the ledger is true",
        f"{shares[0]} and {shares[1]} pictures",
    )


def test_the_shard_of_a_machine_that_died_is_taken_over_once_its_claim_is_stale(
    job: Job, seen: See
) -> None:
    with job.in_the_middle_of_a_shard() as (a, b):
        os.kill(a.pid, signal.SIGKILL)
        died = time.monotonic()
        answer = finish(b)
    seconds = time.monotonic() - died
    assert answer.lines[0] == ALL_MADE, answer
    job.assert_consistent(answer.run_uri)
    assert STALE_AFTER_S - 20 < seconds < 2 * STALE_AFTER_S
    seen(
        "one of two machines is killed in the middle of a shard",
        "the other waits for its claim to become stale, and finishes the shard",
        f"done {seconds:.0f} s after the kill",
    )


def test_a_machine_that_stood_still_spoils_nothing_when_it_goes_on(job: Job, seen: See) -> None:
    with job.in_the_middle_of_a_shard() as (a, b):
        os.kill(a.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        answer = finish(b)
        seconds = time.monotonic() - stopped
        os.kill(a.pid, signal.SIGCONT)
        late = finish(a)
    assert answer.lines[0] == late.lines[0] == ALL_MADE
    job.assert_consistent(answer.run_uri)
    seen(
        "one of two machines stands still (SIGSTOP) until the other finished its shards",
        "what it goes on to write replaces neither pictures nor results",
        f"stood still for {seconds:.0f} s",
    )
