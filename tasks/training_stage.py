"""How far a training is, in the memory of this process: for its bar and for the dashboard."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from tasks.progress import BOARD


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done.

    Attributes:
        name: in words.
        total: how many photographs, pictures or steps there are.
        done: how many of them are done.
        text: what else to show.
        run_uri: of the run that makes the pictures; how far it is, it says itself.
        evaluations_each: that a picture of this run takes, 0 if unknown.
    """

    name: str
    total: int
    done: float = 0
    text: str = ""
    run_uri: str | None = None
    evaluations_each: int = 0

    def count(self) -> float:
        """How many are done now; of pictures, parts of them too."""
        if self.run_uri is None:
            return self.done
        tally, evaluations = BOARD.read(self.run_uri)
        parts = evaluations / self.evaluations_each if self.evaluations_each else 0.0
        return min(float(self.total), max(float(tally.done), parts))

    def counts(self) -> str:
        """The same in words."""
        return f"{int(self.count())}/{self.total} {self.text}".rstrip()


class StageBoard:
    """What the trainings of this process are at, by output."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, Stage] = {}

    def post(self, output_uri: str, stage: Stage) -> None:
        """Replace what one training is at."""
        with self._lock:
            self._stages[output_uri] = stage

    def read(self, output_uri: str) -> Stage | None:
        """What it is at; None before it started."""
        with self._lock:
            return self._stages.get(output_uri)

    def forget(self, output_uri: str) -> None:
        """Drop a training that is over."""
        with self._lock:
            self._stages.pop(output_uri, None)


STAGES: Final = StageBoard()
