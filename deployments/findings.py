"""What ``doctor`` finds, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "ADVICE", "MISSING"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: it is about, in one word.
        text: what is so, and where that is not well, what to do.
        state: a run cannot do without what is ``MISSING``; ``ADVICE`` is for a person to weigh.
    """

    what: str
    text: str
    state: State = "ok"

    def line(self) -> str:
        """As it is printed."""
        return f"{self.state:<7}  {self.what:<9} {self.text}"


def advise(what: str, text: str, *, is_well: bool, otherwise: str) -> Finding:
    """A finding that is well, or says what to do."""
    return Finding(what, text) if is_well else Finding(what, otherwise, "ADVICE")
