"""Processes of the local stack: each leads a process group of its own and writes its own log."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stylecore.errors import StylebatchError

_LOOK_EVERY_S: Final = 0.1
_LOG_TAIL_LINES: Final = 5


class ChildEndedError(StylebatchError):
    """A process of the stack ended that should not have."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to start.

    Attributes:
        name: in words; of its log too.
        command: program and arguments, nothing secret among them.
        environment: all of it.
        folder: where it works.
        patience_s: time that it gets to end by itself.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    patience_s: float = 5.0


class Children:
    """Starts processes, watches them, and stops them in the reverse order.

    Args:
        logs: folder of their logs; exists.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[ChildSpec, subprocess.Popen[bytes]]] = []

    def start(self, spec: ChildSpec) -> None:
        """Start a process in a session of its own, out of the reach of the terminal's Ctrl-C."""
        with self._log(spec).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - commands of our own
                list(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=spec.folder,
                env=dict(spec.environment),
                start_new_session=True,
            )
        self._running.append((spec, process))

    def check(self) -> None:
        """Look whether all are there.

        Raises:
            ChildEndedError: one is not; says which, how it ended and what it said last.
        """
        for spec, process in self._running:
            code = process.poll()
            if code is not None:
                tail = self._log(spec).read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
                raise ChildEndedError(
                    f"{spec.name} ended by itself (exit code {code}), so everything was stopped. "
                    f"Its log: {self._log(spec)}\n" + "\n".join(line[:300] for line in tail)
                )

    def watch(self, stop: threading.Event) -> None:
        """Wait until ``stop`` is set, or a process ends.

        Raises:
            ChildEndedError: one ended.
        """
        while not stop.wait(_LOOK_EVERY_S):
            self.check()

    def stop(self) -> None:
        """Stop all, the last one first, with everything that they started in their groups."""
        while self._running:
            spec, process = self._running[-1]
            _stop_group(process, spec.patience_s)
            self._running.pop()

    def _log(self, spec: ChildSpec) -> Path:
        return self._logs / f"{spec.name}.log"


def _stop_group(process: subprocess.Popen[bytes], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    _signal_group(process, signal.SIGTERM)
    while time.monotonic() < deadline and (process.poll() is None or _has_group(process)):
        time.sleep(_LOOK_EVERY_S)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _has_group(process: subprocess.Popen[bytes]) -> bool:
    """Whether anything that the process started is left in its group."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # the group's id is that of its first process
        os.killpg(process.pid, number)
