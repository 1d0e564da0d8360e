"""Trains a refiner on one device, keeps checkpoints, and writes what came of it.

Retry-safe: a training goes on from its checkpoint, and one that is finished is not repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from stylecore.batch.ledger import RunLedger
from stylecore.errors import JobError, RowError
from stylecore.metrics.quality import build_lpips
from stylecore.perception.encoder import build_encoder
from stylecore.perception.weights import load_weights
from stylecore.training.checkpoint import read_progress
from stylecore.training.curves import CurvePoint, Curves
from stylecore.training.data import TrainingData
from stylecore.training.refiner import Perception, TrainedRefiner, train_refiner
from stylecore.training.watch import TrainingWatch, Validation
from tasks.devices import device_slot
from tasks.stopping import stop_flag
from tasks.training_folder import TrainingFolder
from tasks.training_outputs import write_refiner
from tasks.training_pairs import Pairs, read_paintings, read_pairs
from tasks.training_stage import STAGES, Stage

CHECKPOINT_EVERY_S: Final = 300.0
_LOSSES_SHOWN: Final = ("discriminator", "adversary", "content", "style")
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


def train_on_pictures(
    folder: TrainingFolder,
    run: RunLedger,
    request: TrainingRequest,
    show: Callable[[Interim], None],
) -> dict[str, Any]:
    """Train on the pictures of a run; goes on from the checkpoint, where there is one.

    Args:
        folder: of the training, cleaned.
        run: that made the pictures.
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
    found = _read_pairs(folder, run)
    trained = _train(folder, found, request, show)
    return write_refiner(folder, run.run_uri, found, trained)


def load_perception(device: str) -> Perception:
    """The pretrained networks that a training looks through, on a device."""
    encoder = build_encoder("vgg16", "max", load_weights("vgg16", None)).to(torch.device(device))
    return Perception(encoder, build_lpips(encoder))


def _read_pairs(folder: TrainingFolder, run: RunLedger) -> Pairs:
    cleaning = folder.find_cleaning()
    if cleaning is None:
        raise JobError(f"{folder.output_uri}: the photographs were not cleaned. Start again.")
    found = read_pairs(run, folder.record, cleaning.kept)
    for one in found.left_out:
        _log.warning("left out: %s: %s", one.uri, one.reason)
    return found


def _train(
    folder: TrainingFolder,
    found: Pairs,
    request: TrainingRequest,
    show: Callable[[Interim], None],
) -> TrainedRefiner:
    job = folder.record.job
    data = TrainingData(found.pairs, read_paintings(folder.store, job.styles), job.license)
    checkpoint = folder.find_checkpoint()
    watcher = _Watcher(folder, checkpoint, show)
    stop = stop_flag(request.session)
    watch = TrainingWatch(
        on_step=watcher.take_step,
        on_validation=watcher.take_validation,
        wants_checkpoint=watcher.wants_checkpoint,
        on_checkpoint=watcher.save,
        should_stop=stop.is_set,
    )
    with device_slot(request.device) as device:
        try:
            return train_refiner(data, load_perception(device), job.training, watch, checkpoint)
        except torch.OutOfMemoryError as error:
            raise JobError(
                f"the training does not fit into the memory of {device}: lower "
                "training.batch_size or training.crop_px, or train on fewer pictures"
            ) from error


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
