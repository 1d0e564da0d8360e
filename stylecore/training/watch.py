"""How a caller follows a training, keeps it and ends it. The clock is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stylecore.images.codec import RgbImage


def _never() -> bool:
    return False


class Validation(Protocol):
    """What is seen of a network on pictures that it is not trained on."""

    @property
    def step(self) -> int:
        """After which it was made."""

    @property
    def score(self) -> tuple[float, float]:
        """The higher the better; the second figure decides where the first are equal."""

    @property
    def samples(self) -> Sequence[Sequence[RgbImage]]:
        """The first few pictures: each a row of pictures of one height, the photograph first."""

    def figures(self) -> dict[str, float]:
        """For the card, by name."""

    def headline(self) -> str:
        """The score in a few words."""


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
