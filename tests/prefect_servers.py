"""A real Prefect server for tests, on a free port of the loopback, with a home of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
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
    with run_mortal_prefect(folder, settings) as server:
        yield server.url


@contextmanager
def run_mortal_prefect(
    folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator["PrefectServer"]:
    """The same, as a server that can be killed, frozen, robbed of its database, and revived."""
    (port,) = free_ports(1)
    server = PrefectServer(folder, port, settings or {})
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class PrefectServer:
    """A server process that things happen to.

    Attributes:
        folder: its home, with its database and log.
        port: on the loopback, the same after every start.
        settings: more of its environment.
    """

    folder: Path
    port: int
    settings: Mapping[str, str]
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of its API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "prefect.db"

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it is healthy."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
        log = self.folder / "prefect.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=sink,
                stderr=sink,
                cwd=self.folder,
                env={**_environment(self.folder), **self.settings},
            )
        self._processes.append(process)
        _wait_until_healthy(self.url, process, log)

    def stop(self) -> None:
        """End it politely, whatever state it is in."""
        process = self._processes[-1]
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            stop(process)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    def freeze(self) -> None:
        """Let it answer nobody, while its port still takes connections."""
        self._processes[-1].send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._processes[-1].send_signal(signal.SIGCONT)

    def lose_database(self) -> None:
        """Remove its database, as long as it is dead."""
        for path in self.folder.glob("prefect.db*"):
            path.unlink()

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """Hold its database locked against every writer during the body."""
        with closing(sqlite3.connect(self.database, timeout=60, isolation_level=None)) as ours:
            ours.execute("BEGIN EXCLUSIVE")
            yield
            ours.execute("ROLLBACK")


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
