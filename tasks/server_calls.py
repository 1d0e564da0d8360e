"""Calls of the Prefect server that no picture depends on: it may be away, slow, or new.

Prefect asks a server that does not answer again and again for a minute, and one that hangs for
longer. What is only shown is worth less than that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

_PAUSE: Final = 10  # times what a vain call took, so that such calls take a tenth of the time


@contextmanager
def hurried(retries: int = 0) -> Iterator[None]:
    """Have Prefect ask only so many times more, in the body, where the server does not answer."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
        yield


@contextmanager
def shown_if_possible(what: str) -> Iterator[None]:
    """Go on after the body where the server does not take what the body shows.

    Args:
        what: is shown; for the warning.
    """
    try:
        yield
    except (httpx.HTTPError, ObjectNotFound) as error:
        get_run_logger().warning("%s is not shown: %s", what, error)


class ProgressBar:
    """A progress artifact; updates that do not get through are left out.

    Args:
        key: of the artifact.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._artifact: UUID | None = None
        self._pause_until = 0.0
        self._is_warned = False

    def show(self, percent: float, text: str) -> None:
        """Show how far it is, unless the server was found to be away just now."""
        started = time.monotonic()
        if started < self._pause_until:
            return
        try:
            with hurried():
                self._write(percent, text)
            self._is_warned = False
        except httpx.HTTPError as error:
            now = time.monotonic()
            self._pause_until = now + _PAUSE * (now - started)
            self._take_note(error)

    def _write(self, percent: float, text: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, key=self._key, description=text)
            self._artifact = cast(UUID, made)  # a coroutine only where there is an event loop
        else:
            update_progress_artifact(self._artifact, progress=percent, description=text)

    def _take_note(self, error: httpx.HTTPError) -> None:
        if isinstance(error, httpx.HTTPStatusError):
            is_gone = error.response.status_code == HTTPStatus.NOT_FOUND
            if is_gone:  # the server lost its database: it gets a new one
                self._artifact = None
        if not self._is_warned:  # once for each time that it is away
            get_run_logger().warning("progress is not shown: %s", error)
        self._is_warned = True
