"""A real Prefect server for tests, on a free port of the loopback, with a home of its own."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import free_ports, stop

START_TIMEOUT_S = 240


@contextmanager
def run_prefect(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run ``prefect server start`` with its database and log in ``folder``; yields its API URL.

    Args:
        folder: exists; is its home.
        settings: more of its environment, such as another database.
    """
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    with (folder / "prefect.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**_environment(folder), **(settings or {})},
        )
    try:
        _wait_until_healthy(url, process, folder / "prefect.log")
        yield url
    finally:
        stop(process)


def _environment(folder: Path) -> dict[str, str]:
    mine = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return mine | {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"the Prefect server does not start: {error}\n{tail}")
            time.sleep(0.2)
