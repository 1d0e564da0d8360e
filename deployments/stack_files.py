"""What ``up`` keeps under its folder: credentials, configurations, and who uses the folder."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from deployments.environment import new_auth_string
from stylecore.errors import JobError

BUCKETS: Final = ("inbox", "outbox")
DEFAULT_PORT_BASE: Final = 18_330
_GRPC_OFFSET: Final = 10_000  # of each port of SeaweedFS
_SEAWEED_ROLES: Final = ("s3", "master", "volume", "filer", "admin")
_MAX_PORT: Final = 65_535
_NUM_PORTS: Final = len(_SEAWEED_ROLES) + 2


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a stack: one after the other, from ``base``."""

    base: int

    @property
    def s3(self) -> int:
        """Of the S3 server."""
        return self.base

    @property
    def prefect(self) -> int:
        """Of the Prefect server."""
        return self.base + len(_SEAWEED_ROLES)

    @property
    def receiver(self) -> int:
        """Of the receiver of notifications."""
        return self.base + len(_SEAWEED_ROLES) + 1

    def seaweed(self) -> dict[str, int]:
        """Of each part of SeaweedFS."""
        return {role: self.base + number for number, role in enumerate(_SEAWEED_ROLES)}

    def all(self) -> list[int]:
        """Every port that is listened on."""
        own = list(range(self.base, self.base + _NUM_PORTS))
        return [*own, *(port + _GRPC_OFFSET for port in self.seaweed().values())]

    def check(self) -> None:
        """Look whether all of them are free.

        Raises:
            JobError: naming the one that is not.
        """
        if not 1024 <= self.base <= _MAX_PORT - _GRPC_OFFSET - _NUM_PORTS:
            most = _MAX_PORT - _GRPC_OFFSET - _NUM_PORTS
            raise JobError(f"--port-base {self.base}: give a number from 1024 to {most}")
        with ExitStack() as held:
            for port in self.all():
                door = held.enter_context(socket.socket())
                # What a stack before this one left in TIME_WAIT is free; who listens is not.
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    door.bind(("127.0.0.1", port))
                except OSError as error:
                    raise JobError(
                        f"port {port} is taken ({error.strerror}). Stop what listens there, or "
                        f"give --port-base: the stack uses {_NUM_PORTS} ports from there, and "
                        f"{len(_SEAWEED_ROLES)} of them again {_GRPC_OFFSET} higher."
                    ) from error


@dataclass(frozen=True, slots=True)
class Credentials:
    """``credentials.json``."""

    endpoint_url: str
    access_key: str
    secret_key: str
    prefect_api_url: str
    prefect_ui_url: str
    prefect_auth_string: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach the stack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.prefect_environment,
        }

    @property
    def prefect_environment(self) -> dict[str, str]:
        """What a process needs to reach the Prefect server alone."""
        return {
            "PREFECT_API_URL": self.prefect_api_url,
            "PREFECT_API_AUTH_STRING": self.prefect_auth_string,
        }


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make the folder of a stack and keep others from using it.

    Raises:
        JobError: it cannot be made, or another stack uses it.
    """
    try:
        for part in (folder, folder / "logs", folder / "prefect", folder / "s3" / "data"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JobError(f"--dir {folder}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise JobError(
            f"--dir {folder}: another `stylebatch up` uses it. Stop that one, or give another "
            "folder."
        ) from error
    try:
        yield
    finally:
        os.close(lock)


def write_credentials(folder: Path, ports: Ports) -> Credentials:
    """Write ``credentials.json``, with the keys that it has where it is there already."""
    path = folder / "credentials.json"
    before = _read_keys(path)
    server = f"http://127.0.0.1:{ports.prefect}"
    credentials = Credentials(
        endpoint_url=f"http://127.0.0.1:{ports.s3}",
        access_key=before.get("access_key") or secrets.token_hex(10),
        secret_key=before.get("secret_key") or secrets.token_hex(20),
        prefect_api_url=f"{server}/api",
        prefect_ui_url=server,
        prefect_auth_string=before.get("prefect_auth_string") or new_auth_string(),
    )
    write_secret(path, json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials


def _read_keys(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        found: Any = json.loads(path.read_text("utf-8"))
        keys = {name: str(found[name]) for name in ("access_key", "secret_key")}
        # Stacks of earlier versions had none.
        return {**keys, "prefect_auth_string": str(found.get("prefect_auth_string", ""))}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise JobError(f"{path}: cannot be read; remove it to have new keys made") from error


def write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else can read, not even for a moment."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
