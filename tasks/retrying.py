"""Which failures of a task are worth another try."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stylecore.errors import JobError, RunStoppedError, StylebatchError


def is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Neither a wrong request nor a stop that somebody asked for; for ``retry_condition_fn``."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, JobError | RunStoppedError)


def is_fault_of_ours(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """No error of this project's: inside a shard the store was asked often enough."""
    return not isinstance(state.result(raise_on_failure=False), StylebatchError)
