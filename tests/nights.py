"""A run that takes a while, beside a Prefect server that things happen to."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import Answer, clean_environment, run_stylebatch
from local_jobs import LocalBucket

ODD_STYLEBATCH = Path(__file__).parent / "odd_stylebatch.py"
PHOTOGRAPHS = 12
PATIENCE_S = 1500  # for the longest that Prefect asks in vain, on a machine that does other things


def odd_command(**habits: Any) -> list[str]:
    """The command line with habits that ``odd_stylebatch.py`` tells of."""
    return [sys.executable, str(ODD_STYLEBATCH), json.dumps(habits)]


@dataclass
class Night:
    """Twelve photographs in six shards, to be copied slowly.

    Attributes:
        folder: with all of it.
        url: of the server's API; None for the embedded one.
    """

    folder: Path
    url: str | None
    bucket: LocalBucket = field(init=False)

    def __post_init__(self) -> None:
        self.bucket = LocalBucket(self.folder)
        self.bucket.fill(PHOTOGRAPHS)
        self.job.write_text(
            f"manifest_uri: {self.bucket.photographs}/\nstyles: [{self.folder}/wave.jpg]\n"
            f"output_uri: {self.bucket.output}\nmethod: identity\nmax_side_px: 32\n"
            "limits: {rows_per_shard: 2}\n"
        )

    @property
    def job(self) -> Path:
        """Its job file."""
        return self.folder / "job.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        named = {"PREFECT_API_URL": self.url} if self.url else {}
        return {"OMP_NUM_THREADS": "1", **named}

    @contextmanager
    def running(self, until: int, seconds: float = 1.0) -> Iterator["Run"]:
        """Start the run, and go on when it has made some pictures.

        Args:
            until: so many pictures.
            seconds: that every picture takes to be written.
        """
        process = subprocess.Popen(
            [*odd_command(seconds=seconds), "run", str(self.job)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(self.folder, self.environment),
            cwd=self.folder,
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while len(self.bucket.pictures()) < until:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield Run(process, time.monotonic())
        finally:
            process.kill()
            process.communicate()

    def stylebatch(self, *arguments: str | Path) -> Answer:
        """Run one command to its end."""
        home, names = self.folder, self.environment
        return run_stylebatch(*arguments, home=home, environment=names, timeout_s=PATIENCE_S)

    def made_at(self) -> dict[str, int]:
        """When each picture was written, in nanoseconds."""
        return {path.name: path.stat().st_mtime_ns for path in self.bucket.pictures()}

    def assert_ledger_is_true(self) -> None:
        """What the ledger says is so, and is said without a server."""
        (run,) = self.bucket.output.glob("runs/*")
        for command in ("status", "verify"):
            answer = run_stylebatch(command, run, home=self.folder)
            assert answer.code == 0, answer

    def assert_goes_on(self) -> None:
        """The same job, started again, completes: an outcome for every row, nothing made again."""
        before = self.made_at()
        answer = self.stylebatch("run", self.job)
        assert answer.code == 0, answer
        assert self.made_at().items() >= before.items()
        rows = self.bucket.results()
        assert sorted(row["row_id"] for row in rows) == sorted(map(str, range(PHOTOGRAPHS)))
        assert {row["status"] for row in rows} == {"made"}
        assert {Path(row["output_uri"]).name for row in rows} == set(self.made_at())
        self.assert_ledger_is_true()


@dataclass(frozen=True)
class Run:
    """A run that is under way."""

    process: subprocess.Popen[str]
    since: float

    def finish(self) -> tuple[Answer, float]:
        """Wait for its end; what it said, and after how many seconds."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in stderr, stderr
        assert "fault of stylebatch" not in stderr, stderr
        answer = Answer(self.process.returncode, stdout, stderr)
        return answer, time.monotonic() - self.since
