"""Processes of the local stack: each leads a process group of its own and writes its own log."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stylecore.errors import StylebatchError

_LOOK_EVERY_S: Final = 0.1
_LOG_TAIL_LINES: Final = 5
# A process that ends by itself is started again, unless it does so too often for that to help.
_RESTARTS: Final = 3
_RESTARTS_WITHIN_S: Final = 600.0
_FIRST_PAUSE_S: Final = 1.0


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


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes]
    restarted_at: list[float] = field(default_factory=list)

    def num_restarts(self) -> int:
        """How often it was started again lately."""
        since = time.monotonic() - _RESTARTS_WITHIN_S
        self.restarted_at = [moment for moment in self.restarted_at if moment > since]
        return len(self.restarted_at)


class Children:
    """Starts processes, watches them, and stops them in the reverse order.

    Args:
        logs: folder of their logs; exists.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[_Child] = []

    def start(self, spec: ChildSpec) -> None:
        """Start a process in a session of its own, out of the reach of the terminal's Ctrl-C."""
        self._log(spec).write_bytes(b"")
        self._running.append(_Child(spec, self._launch(spec)))

    def check(self) -> None:
        """Look whether all are there.

        Raises:
            ChildEndedError: one is not; says which, how it ended and what it said last.
        """
        for child in self._running:
            if child.process.poll() is not None:
                raise ChildEndedError(self._obituary(child, "so everything was stopped"))

    def watch(self, stop: threading.Event, tell: Callable[[str], None]) -> None:
        """Wait until ``stop`` is set; start again what ends, three times in ten minutes at most.

        Args:
            stop: ends the watch.
            tell: gets a sentence for each process that was started again.

        Raises:
            ChildEndedError: one ends again and again.
        """
        while not stop.wait(_LOOK_EVERY_S):
            for child in self._running:
                if child.process.poll() is not None:
                    self._start_again(child, stop, tell)

    def stop(self) -> None:
        """Stop all, the last one first, with everything that they started in their groups."""
        while self._running:
            child = self._running[-1]
            _stop_group(child.process, child.spec.patience_s)
            self._running.pop()

    def _start_again(
        self, child: _Child, stop: threading.Event, tell: Callable[[str], None]
    ) -> None:
        number = child.num_restarts() + 1
        if number > _RESTARTS:
            often = f"for the {number}th time within {_RESTARTS_WITHIN_S / 60:.0f} minutes"
            raise ChildEndedError(self._obituary(child, f"{often}, so everything was stopped"))
        tell(self._obituary(child, f"and is started again ({number} of {_RESTARTS} times)"))
        _signal_group(child.process, signal.SIGKILL)  # what it started and left behind
        if not stop.wait(_FIRST_PAUSE_S * 4 ** (number - 1)):
            child.process = self._launch(child.spec)
            child.restarted_at.append(time.monotonic())

    def _launch(self, spec: ChildSpec) -> subprocess.Popen[bytes]:
        with self._log(spec).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - commands of our own
                list(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=spec.folder,
                env=dict(spec.environment),
                start_new_session=True,
            )

    def _obituary(self, child: _Child, so: str) -> str:
        log = self._log(child.spec)
        tail = log.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
        first = f"{child.spec.name} ended by itself ({_how(child.process.poll())}), {so}."
        return "\n".join([f"{first} Its log: {log}", *(f"  {line[:300]}" for line in tail)])

    def _log(self, spec: ChildSpec) -> Path:
        return self._logs / f"{spec.name}.log"


def _how(code: int | None) -> str:
    """How a process ended, as a person would say it."""
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"


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
