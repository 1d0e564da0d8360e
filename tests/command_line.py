"""The command line as a person meets it: a process of its own, with nothing of ours around it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STYLEBATCH = str(Path(sys.executable).with_name("stylebatch"))
_FOREIGN = ("PREFECT_", "AWS_", "STYLEBATCH_", "COV_", "PYTEST_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """What a script reads."""
        return self.stdout.splitlines()

    @property
    def run_uri(self) -> str:
        """What ``run`` prints last."""
        return self.lines[-1]

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.stdout}\n{self.stderr}"


def run_stylebatch(
    *arguments: str | Path,
    home: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> Answer:
    """Run one command to its end, started in ``home``."""
    done = subprocess.run(
        [STYLEBATCH, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=home,
        env=clean_environment(home, environment),
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment without anybody's servers, credentials and settings."""
    mine = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_FOREIGN) and key.upper() not in _PROXIES
    }
    own = {
        "HOME": str(home),
        "PREFECT_HOME": str(home / ".prefect"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "300",
    }
    return {**mine, **own, **(extra or {})}
