"""Whether the last planned night has completed, judged from what the Prefect server knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_SHOWN = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True)
class Night:
    """A run of the nightly deployment.

    Attributes:
        name: of the run.
        due: when it was to start.
        state: its state, by Prefect's name.
        ended: when it ended, or None while it has not.
        is_planned: the schedule started it, not a person.
        is_completed: it did its work.
    """

    name: str
    due: datetime
    state: str
    ended: datetime | None
    is_planned: bool
    is_completed: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the nights says, in a sentence."""

    is_well: bool
    text: str


def judge_nights(nights: Sequence[Night], *, is_scheduled: bool) -> Finding:
    """Whether a run completed since the last planned start, whoever started it.

    Args:
        nights: runs that were due, the latest first.
        is_scheduled: a schedule is there and active.
    """
    if not is_scheduled:
        return Finding(
            False,
            "the nightly run has no active schedule, so no night is planned; `stylebatch deploy "
            "--nightly JOB.yaml` gives it one",
        )
    last = next((night for night in nights if night.is_planned), None)
    if last is None:
        return Finding(True, "no nightly run was due yet")
    for night in nights:
        if night.is_completed and night.ended is not None and night.ended >= last.due:
            return Finding(
                True, f"the nightly run {night.name} completed at {night.ended:{_SHOWN}}"
            )
    return Finding(False, _complain(nights, last))


def _complain(nights: Sequence[Night], last: Night) -> str:
    since = [night for night in nights if night.due >= last.due]
    seen = "; ".join(f"{night.name} is {night.state}" for night in since[:3])
    return (
        f"no nightly run has completed since {last.due:{_SHOWN}}, when one was planned: {seen}. "
        "If it is Late, no worker is at work; otherwise its log says why"
    )
