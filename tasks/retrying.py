"""Which failures of a task are worth another try."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stylecore.errors import JobError, RunStoppedError, StoreAwayError


def is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Neither a wrong request, nor a stop, nor a store that was waited for long enough.

    For ``retry_condition_fn``.
    """
    error = state.result(raise_on_failure=False)
    return not isinstance(error, JobError | RunStoppedError | StoreAwayError)
