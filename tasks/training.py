"""Trains a network on one device, keeps checkpoints, and writes what came of it.

Retry-safe: a training goes on from its checkpoint, and one that is finished is not repeated.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch

from stylecore.errors import JobError, RowError
from stylecore.metrics.quality import build_lpips
from stylecore.optimize.memory import is_memory_fault
from stylecore.perception.encoder import build_encoder
from stylecore.perception.weights import load_weights
from stylecore.training.checkpoint import read_progress
from stylecore.training.curves import CurvePoint, Curves
from stylecore.training.refiner import Perception
from stylecore.training.request import (
    TrainArbitraryJob,
    TrainRefinerJob,
    TrainTranslatorJob,
)
from stylecore.training.watch import TrainingWatch, Validation
from tasks.arbitrary_training import ArbitraryTraining
from tasks.devices import device_slot
from tasks.generator_training import GeneratorTraining
from tasks.refiner_training import RefinerTraining
from tasks.stopping import stop_flag
from tasks.training_folder import TrainingFolder
from tasks.training_outputs import Trained, write_trained
from tasks.training_stage import STAGES, Stage
from tasks.translator_training import TranslatorTraining

CHECKPOINT_EVERY_S: Final = 300.0
_LOSSES_SHOWN: Final = ("discriminator", "adversary", "content", "style", "objective", "contrast")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Interim:
    """A training at one of its validations."""

    curves: tuple[CurvePoint, ...]
    validation: Validation


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """How to go about it; ``session`` names the stop flag of this attempt."""

    device: str
    session: str


def train_to_the_end(
    folder: TrainingFolder,
    run_uri: str | None,
    request: TrainingRequest,
    show: Callable[[Interim], None],
) -> dict[str, Any]:
    """Train what a folder's record asks for; goes on from the checkpoint, where there is one.

    Args:
        folder: of the training, cleaned.
        run_uri: of the run that made the pictures to learn from; None for what needs none.
        request: where to compute.
        show: called with each validation.

    Returns:
        What ``card.json`` says.

    Raises:
        JobError: there is nothing to train on, the checkpoint is of something else, the training
            went astray, or it does not fit into the device's memory.
        RunStoppedError: the session's stop flag was set; the checkpoint is of this moment.
    """
    card = folder.find_card()
    if card is not None:
        return card
    checkpoint = folder.find_checkpoint()
    watch = _Watcher(folder, checkpoint, show).watch(stop_flag(request.session))
    with _memory_errors():
        training = _open_training(folder, run_uri)
        with device_slot(request.device) as device:
            trained = training.train(load_perception(device), watch, checkpoint)
    return write_trained(folder, trained)


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as fault:
        if not is_memory_fault(fault):
            raise
        raise JobError(
            "the training does not fit into memory: lower training.batch_size, training.crop_px "
            "or training.width, or train on fewer or smaller pictures (max_side_px)"
        ) from fault


class _Training(Protocol):
    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""


def _open_training(folder: TrainingFolder, run_uri: str | None) -> _Training:
    job = folder.record.job
    if isinstance(job, TrainRefinerJob):
        return RefinerTraining(folder, job, str(run_uri))
    if isinstance(job, TrainArbitraryJob):
        return ArbitraryTraining(folder, job)
    if isinstance(job, TrainTranslatorJob):
        return TranslatorTraining(folder, job)
    return GeneratorTraining(folder, job)


def load_perception(device: str) -> Perception:
    """The pretrained networks that a training looks through, on a device."""
    encoder = build_encoder("vgg16", "max", load_weights("vgg16", None)).to(torch.device(device))
    return Perception(encoder, build_lpips(encoder))


class _Watcher:
    """Between two steps: what people see, and what a kill would otherwise cost."""

    def __init__(
        self, folder: TrainingFolder, checkpoint: bytes | None, show: Callable[[Interim], None]
    ) -> None:
        self.folder = folder
        self.show = show
        self.num_steps = folder.record.job.training.num_steps
        self.curves = Curves() if checkpoint is None else read_progress(checkpoint).curves
        self.losses: dict[str, float] = {}
        self.best = ""
        self.saved_at = time.monotonic()

    def watch(self, stop: threading.Event) -> TrainingWatch:
        """For the training."""
        return TrainingWatch(
            on_step=self.take_step,
            on_validation=self.take_validation,
            wants_checkpoint=self.wants_checkpoint,
            on_checkpoint=self.save,
            should_stop=stop.is_set,
        )

    def take_step(self, step: int, losses: Mapping[str, float]) -> None:
        self.curves = self.curves.add(step, self.num_steps, losses)
        self.losses |= losses
        named = [name for name in _LOSSES_SHOWN if name in self.losses]
        texts = [f"{name} {self.losses[name]:.3g}" for name in named]
        text = "  ".join([*texts, self.best]).rstrip()
        STAGES.post(self.folder.output_uri, Stage("training", self.num_steps, step, text))

    def take_validation(self, validation: Validation) -> None:
        self.best = validation.headline()
        self.show(Interim(self.curves.points, validation))

    def wants_checkpoint(self) -> bool:
        return time.monotonic() - self.saved_at >= CHECKPOINT_EVERY_S

    def save(self, data: bytes) -> None:
        """Write a checkpoint; one that cannot be written costs time only after a kill."""
        self.saved_at = time.monotonic()
        try:
            self.folder.write_checkpoint(data)
        except RowError as error:
            _log.warning("checkpoint: %s", error)
