"""Whether the packages of a task runner are installed; imports none of them, nor Prefect."""

from __future__ import annotations

from importlib.util import find_spec

from stylecore.config import RunnerName
from stylecore.errors import JobError


def check_runner(name: RunnerName) -> None:
    """Check that a task runner is installed, without importing it.

    Raises:
        JobError: it is not; says how to install it.
    """
    if name != "threads" and (find_spec(f"prefect_{name}") is None or find_spec(name) is None):
        raise JobError(f"runner {name} is not installed: pip install 'stylebatch[{name}]'")
