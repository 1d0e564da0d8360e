"""One job that several machines meet on: processes that believe to be on machines of their own."""

import glob
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, clean_environment, run_stylebatch
from nights import PATIENCE_S, odd_command
from sample_images import GREAT_WAVE, make_photographs

from stylecore.batch.ledger import open_ledger
from stylecore.batch.store import Store

Process = subprocess.Popen[str]
PHOTOGRAPHS = 12
ALL_MADE = f"made {PHOTOGRAPHS}, skipped 0, failed 0"
_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


@dataclass(frozen=True)
class SharedJob:
    """Twelve photographs, to be copied, in six shards, and who wrote what.

    Attributes:
        folder: a local one, for what only the test needs.
        place: folder or prefix that all machines reach.
        environment: of every machine.
    """

    folder: Path
    place: str
    environment: Mapping[str, str]

    def fill(self) -> None:
        """Put a painting and the photographs there."""
        Store().write_bytes(f"{self.place}/wave.jpg", GREAT_WAVE.read_bytes())
        for name, data in make_photographs(PHOTOGRAPHS).items():
            Store().write_bytes(f"{self.place}/in/{name}", data)

    @property
    def words(self) -> list[str]:
        """The command that starts it."""
        words = ["run", "--manifest", f"{self.place}/in/", "--style", f"{self.place}/wave.jpg"]
        words += ["--output", f"{self.place}/out", "--method", "identity", "--max-side-px", "32"]
        return [*words, "--set", "limits.rows_per_shard=2"]

    @contextmanager
    def machine(self, name: str, clock: str = "", **habits: float) -> Iterator[Process]:
        """Start the job on a machine, whose pictures differ by some bytes from those of others.

        Args:
            name: of the machine.
            clock: how much its clock is ahead, such as ``+1d``.
            habits: more of ``odd_stylebatch.py``.
        """
        always = {"machine": name, "salt": name, "log": str(self.log)}
        names = {"OMP_NUM_THREADS": "1", **self.environment, **wrong_clock(clock)}
        process = subprocess.Popen(
            [*odd_command(**always, **habits), *self.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(self.folder, names),
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

    def stylebatch(self, *words: str, clock: str = "") -> Answer:
        """Run one command to its end."""
        names = {"OMP_NUM_THREADS": "1", **self.environment, **wrong_clock(clock)}
        return run_stylebatch(*words, home=self.folder, environment=names, timeout_s=PATIENCE_S)

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
        """No picture twice, every shard once, an outcome for every row, and all of it true.

        What a process apart makes of a dead one's shard is in no log; its outcomes are verified.
        """
        outcomes = list(open_ledger(Store(), run_uri).outcomes())
        assert sorted(int(outcome.row_id) for outcome in outcomes) == list(range(PHOTOGRAPHS))
        assert {outcome.status for outcome in outcomes} == {"made"}
        pictures = Counter(line["uri"] for line in self.written("picture"))
        assert set(pictures.values()) == {1}, pictures
        assert pictures.keys() <= {outcome.output_uri for outcome in outcomes}
        results = Counter(line["uri"] for line in self.written("results"))
        assert (len(results), set(results.values())) == (6, {1}), results
        answer = self.stylebatch("verify", run_uri)
        assert answer.code == 0, answer


def finish(process: Process) -> Answer:
    """Wait for the end of a machine's work, which must be a good one."""
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    answer = Answer(process.returncode, stdout, stderr)
    assert answer.code == 0, answer
    return answer


def wrong_clock(ahead: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong; files keep their true times.

    Args:
        ahead: as ``faketime`` has it, such as ``+1d``; nothing is a right clock. One that is behind
            would start before the machine did, by the clock that waits go by.
    """
    if not ahead:
        return {}
    found = glob.glob(_FAKETIME)
    if not found:
        pytest.fail("no libfaketime: install faketime (apt-get install faketime)")
    return {
        "LD_PRELOAD": found[0],
        "FAKETIME": ahead,
        "NO_FAKE_STAT": "1",
    }
