"""A real PostgreSQL for tests: a cluster of its own in a new folder, on a free loopback port."""

import glob
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import free_ports, stop

START_TIMEOUT_S = 60
DEBIAN = "/usr/lib/postgresql/*/bin"


@contextmanager
def run_postgresql() -> Iterator[str]:
    """Run a server with an empty database of a plain user; yields its URL as Prefect wants it."""
    (port,) = free_ports(1)
    owner, password = _owner(), secrets.token_hex(16)
    # Not below pytest's folder, which only its own user may enter: PostgreSQL refuses to be root.
    folder = Path(tempfile.mkdtemp(prefix="stylebatch-postgresql-"))
    shutil.chown(folder, owner)
    try:
        cluster = ["-D", str(folder / "data"), "-U", owner, "--auth-local=peer"]
        _run(owner, folder, "initdb", *cluster, "--auth-host=scram-sha-256", "--no-sync")
        arguments = ["-D", str(folder / "data"), "-k", str(folder), "-p", str(port)]
        with (folder / "postgresql.log").open("wb") as log:
            process = subprocess.Popen(
                [_program("postgres"), *arguments, "-c", "listen_addresses=127.0.0.1"],
                stdout=log,
                stderr=log,
                cwd=folder,
                user=owner,
            )
        try:
            _wait_until_ready(port, process, folder / "postgresql.log")
            here = ("-h", str(folder), "-p", str(port))
            role = f"CREATE ROLE prefect LOGIN PASSWORD '{password}'"
            _run(owner, folder, "psql", "-q", *here, "-d", "postgres", text=role)
            _run(owner, folder, "createdb", *here, "--owner", "prefect", "prefect")
            yield f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{port}/prefect"
        finally:
            stop(process)  # SIGINT: it rolls back what is open and ends
    finally:
        shutil.rmtree(folder)


def _owner() -> str:
    """Who runs it: the one who runs the tests, but never root."""
    return pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "postgres"


def _run(owner: str, folder: Path, program: str, *arguments: str, text: str = "") -> None:
    done = subprocess.run(
        [_program(program), *arguments],
        cwd=folder,
        user=owner,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _program(name: str) -> str:
    """Debian keeps the server's programs out of the PATH."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"{DEBIAN}/{name}"))), None)
    if found is None:
        pytest.fail(f"no `{name}` command: install PostgreSQL (apt-get install postgresql)")
    return found


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    command = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(command, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL does not start\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
