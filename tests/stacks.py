"""``stylebatch up`` as a person starts it, on free ports, and a look at what it left."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import s3fs
from command_line import STYLEBATCH, clean_environment

from deployments.stack_files import Ports
from stylecore.errors import JobError

START_TIMEOUT_S = 240


@dataclass
class LocalStack:
    """A stack at work; all of it is below ``home``."""

    home: Path
    process: subprocess.Popen[bytes]

    @property
    def folder(self) -> Path:
        """What it was given as --dir."""
        return self.home / "state"

    @property
    def credentials(self) -> dict[str, str]:
        """What a person would read."""
        found: dict[str, str] = json.loads((self.folder / "credentials.json").read_text())
        return found

    @property
    def api_url(self) -> str:
        """Of the Prefect server, with what it asks for."""
        keys = self.credentials
        return keys["prefect_api_url"].replace("://", f"://{keys['prefect_auth_string']}@")

    def client(self) -> s3fs.S3FileSystem:
        """A way to the buckets, from the credentials file."""
        keys = self.credentials
        return s3fs.S3FileSystem(
            key=keys["access_key"],
            secret=keys["secret_key"],
            endpoint_url=keys["endpoint_url"],
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def said(self) -> str:
        """Everything on its screen."""
        return (self.home / "screen.txt").read_text()

    def stop(self) -> int:
        """Ask it to stop; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def run_stack(home: Path, port_base: int) -> Iterator[LocalStack]:
    """Start a stack and wait until it says that it is there."""
    command = [STYLEBATCH, "up", "--dir", "state", "--port-base", str(port_base)]
    with (home / "screen.txt").open("wb") as screen:
        process = subprocess.Popen(
            command, cwd=home, env=clean_environment(home), stdout=screen, stderr=screen
        )
    stack = LocalStack(home, process)
    try:
        wait_until(
            lambda: "Ctrl-C stops" in stack.said() or process.poll() is not None, START_TIMEOUT_S
        )
        if process.poll() is not None:
            pytest.fail(f"the stack does not start\n{stack.said()}")
        yield stack
    finally:
        if process.poll() is None:
            stack.stop()


def free_port_base() -> int:
    """The first of some ports that are free now."""
    while True:
        base = random.randrange(15_000, 22_000, 10)
        try:
            Ports(base).check()
        except JobError:
            continue
        return base


def wait_until(is_so: Callable[[], Any], timeout_s: float) -> Any:
    """What ``is_so`` says, as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := is_so()):
        if time.monotonic() > deadline:
            pytest.fail(f"still not so after {timeout_s:g} s")
        time.sleep(0.2)
    return found


def processes_in(home: Path) -> dict[str, psutil.Process]:
    """Processes that work below a folder, by the words that tell what they are."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            places = (words, process.cwd(), process.environ().get("PREFECT_HOME", ""))
            if any(str(home) in place for place in places):
                found[words] = process
        except psutil.Error:
            continue  # gone, or not ours to see
    return found


def pictures(client: s3fs.S3FileSystem, style: str) -> list[str]:
    """Pictures of a style, by bucket and key."""
    # A folder whose first object is being written is found as an object itself.
    folder = f"outbox/images/{style}"
    return [str(name) for name in client.find(folder) if name != folder]


def made_in(client: s3fs.S3FileSystem, style: str) -> Counter[str]:
    """How often each upload of a style was made, by the results of all runs."""
    made: Counter[str] = Counter()
    for name in client.find("outbox/runs"):
        if "/results/" in name:
            rows: list[dict[str, Any]] = pq.read_table(
                io.BytesIO(client.cat_file(name))
            ).to_pylist()
            made.update(r["row_id"] for r in rows if (r["style"], r["status"]) == (style, "made"))
    return made
