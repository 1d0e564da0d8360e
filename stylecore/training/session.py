"""A training between two steps, whatever is trained: progress, validations, checkpoints, a stop.

The same seed gives the same weights on the same device, and a resumed training gives those of one
that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import JsonValue
from torch import Tensor, nn

from stylecore.errors import JobError, RunStoppedError
from stylecore.training.adversarial_loop import AdversarialLoop
from stylecore.training.checkpoint import Progress, restore_checkpoint, save_checkpoint, snapshot
from stylecore.training.watch import TrainingWatch, Validation

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")
Validated = TypeVar("Validated", bound=Validation)


class TrainingSession(Generic[Network, Batch, Validated]):
    """Trains, and keeps the weights that did best on pictures that the training does not see.

    Args:
        loop: before its first step.
        validate: judges a network after a step.
        request: what is trained, on what: a checkpoint goes on only with the same.
        num_validations: how many times, evenly spaced.
    """

    def __init__(
        self,
        loop: AdversarialLoop[Network, Batch],
        validate: Callable[[Network, int], Validated],
        request: Mapping[str, JsonValue],
        num_validations: int,
    ) -> None:
        self.loop = loop
        self._validate = validate
        self._request = dict(request)
        self._num_validations = num_validations
        self.progress = Progress(request=self._request)
        self._best: dict[str, Tensor] = {}

    def run(self, watch: TrainingWatch, resume_from: bytes | None = None) -> Validated:
        """Train to the end.

        Args:
            watch: progress, checkpoints, stop flag.
            resume_from: a checkpoint of the same training.

        Returns:
            The validation of the best weights, which ``loop.average`` has then.

        Raises:
            JobError: the checkpoint cannot be used, or a loss is no longer finite.
            RunStoppedError: the watch's stop flag was set; its last checkpoint is of this moment.
        """
        if resume_from is not None:
            self.progress, self._best = restore_checkpoint(self.loop, resume_from, self._request)
        while self.loop.step < self.loop.settings.num_steps:
            self._advance(watch)
        self.loop.average.load_state_dict(self._best)
        return self._validate(self.loop.average, self.progress.best_step or 0)

    def _advance(self, watch: TrainingWatch) -> None:
        """Make one step, and what is due after it."""
        losses = self.loop.advance()
        step = self.loop.step
        _check_finite(step, losses)
        curves = self.progress.curves.add(step, self.loop.settings.num_steps, losses)
        self._note(curves=curves)
        if watch.on_step is not None:
            watch.on_step(step, losses)
        if self._is_validation_due(step):
            self._judge(watch)
        should_stop = watch.should_stop()
        if watch.on_checkpoint is not None and (should_stop or watch.wants_checkpoint()):
            watch.on_checkpoint(save_checkpoint(self.loop, self.progress, self._best))
        if should_stop:
            raise RunStoppedError(f"the training was asked to stop after step {step}")

    def _is_validation_due(self, step: int) -> bool:
        num, num_steps = self._num_validations, self.loop.settings.num_steps
        return step * num // num_steps > (step - 1) * num // num_steps

    def _judge(self, watch: TrainingWatch) -> None:
        validation = self._validate(self.loop.average, self.loop.step)
        best_score = self.progress.best_score
        if best_score is None or validation.score > best_score:
            self._best = snapshot(self.loop.average)
            self._note(best_score=validation.score, best_step=validation.step)
        if watch.on_validation is not None:
            watch.on_validation(validation)

    def _note(self, **changes: Any) -> None:
        self.progress = self.progress.model_copy(update=changes)


def _check_finite(step: int, losses: Mapping[str, float]) -> None:
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise JobError(
                f"training went astray: the loss {name!r} is {loss} at step {step}: lower the "
                "learning rates, or the weight of that loss"
            )
