"""What a person sees: progress and errors on stderr, results on stdout."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stylecore.printable import printable

errors: Final = Console(stderr=True, soft_wrap=True, highlight=False)
results: Final = Console(soft_wrap=True, highlight=False)
_REFRESH_S: Final = 0.5


def say(text: str) -> None:
    """One line of result on stdout, exactly as it is."""
    results.print(text, markup=False)


def warn(text: str) -> None:
    """What is odd although the command did what it was asked to, on stderr."""
    errors.print(f"warning: {text}", markup=False, style="yellow")


def complain(text: str) -> None:
    """What is wrong, on stderr, in at most ten lines."""
    lines = printable(text, keeps_lines=True).splitlines()[:9]
    errors.print("error: " + "\n".join(lines), markup=False, style="red")


def new_progress() -> Progress:
    """A progress bar on stderr that tells what, how far, and how long it will take."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=errors,
    )


class RunProgress:
    """A bar that follows a run by asking twice a second how far it is."""

    def __init__(self, run_uri: str, todo: int, evaluations_each: int) -> None:
        self._run_uri = run_uri
        self._todo = todo
        self._evaluations_each = evaluations_each
        self._done = threading.Event()

    @contextmanager
    def shown(self, description: str) -> Iterator[None]:
        """Show the bar while the body runs."""
        with new_progress() as progress:
            task = progress.add_task(description, total=self._todo, counts="starting Prefect")
            thread = threading.Thread(target=self._follow, args=(progress, task), daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._done.set()
                thread.join()

    def _follow(self, progress: Progress, task: TaskID) -> None:
        from tasks.progress import BOARD

        is_last = False
        while not is_last:
            is_last = self._done.wait(_REFRESH_S)
            tally, evaluations = BOARD.read(self._run_uri)
            if not tally.done and not evaluations:
                continue
            pictures = evaluations / self._evaluations_each if self._evaluations_each else 0.0
            counts = f"{tally.done}/{self._todo}, {tally.failed} failed"
            progress.update(task, completed=max(tally.done, pictures), counts=counts)
