"""How a caller follows a training, keeps it and ends it. The clock is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylecore.training.validation import Validation


def _never() -> bool:
    return False


@dataclass(frozen=True)
class TrainingWatch:
    """What happens between two steps.

    Attributes:
        on_step: called after each step with its number, from 1, and its losses by name.
        on_validation: called after each validation.
        wants_checkpoint: asked after each step, as whether five minutes have passed.
        on_checkpoint: takes the bytes of a checkpoint, when one is wanted and before a stop.
        should_stop: asked after each step; true ends the work with ``RunStoppedError``.
    """

    on_step: Callable[[int, Mapping[str, float]], None] | None = None
    on_validation: Callable[[Validation], None] | None = None
    wants_checkpoint: Callable[[], bool] = _never
    on_checkpoint: Callable[[bytes], None] | None = None
    should_stop: Callable[[], bool] = _never
