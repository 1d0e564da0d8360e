"""Whether a task runner can be had; imports none of their packages, nor Prefect."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from stylecore.config import RunnerName
from stylecore.errors import JobError

_ANSWER_S: Final = 5.0


def check_runner(name: RunnerName, address: str | None) -> None:
    """Check that a task runner is installed, and that somebody listens at its address.

    Args:
        name: of the runner.
        address: of its cluster, such as ``tcp://host:8786``; None: none is there yet.

    Raises:
        JobError: what is missing, and what to do.
    """
    if name == "threads":
        return
    if find_spec(f"prefect_{name}") is None or find_spec(name) is None:
        raise JobError(f"runner {name} is not installed: pip install 'stylebatch[{name}]'")
    if address is not None:
        _check_address(name, address)


def _check_address(name: str, address: str) -> None:
    try:
        # Ray itself waits for minutes.
        place = urlsplit(address if "://" in address else f"//{address}")
        if not place.hostname or not place.port:
            raise ValueError("give host and port")
        socket.create_connection((place.hostname, place.port), _ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise JobError(
            f"runner_address {address}: the {name} cluster does not answer ({error}). Start it, or "
            "leave the address out to have one started here."
        ) from error
