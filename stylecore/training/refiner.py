"""Train a refiner for a style, or for a single picture: the same function on fewer pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from stylecore.errors import JobError, RunStoppedError
from stylecore.metrics.texture import TextureMeasures
from stylecore.perception.encoder import Encoder
from stylecore.refine.files import RefinerCard
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Discriminator, Refiner
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings
from stylecore.training.checkpoint import Progress, restore_checkpoint, save_checkpoint, snapshot
from stylecore.training.curves import CurvePoint
from stylecore.training.data import TrainingData, digest_pictures, to_pair
from stylecore.training.refiner_game import RefinerBatch, RefinerGame
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.validation import Validation, Validator
from stylecore.training.views import NUM_CHANNELS
from stylecore.training.watch import TrainingWatch


@dataclass(frozen=True)
class Perception:
    """Pretrained networks on the device to train on.

    Attributes:
        encoder: VGG-16.
        lpips: from ``build_lpips``.
    """

    encoder: Encoder
    lpips: nn.Module


@dataclass(frozen=True, eq=False)
class TrainedRefiner:
    """What training came to.

    Attributes:
        refiner: with the best weights of all validations, on the CPU.
        card: says what it is; with ``save_refiner`` it becomes a file.
        curves: losses over steps.
        validation: of these weights.
    """

    refiner: Refiner
    card: RefinerCard
    curves: tuple[CurvePoint, ...]
    validation: Validation


def train_refiner(
    data: TrainingData,
    perception: Perception,
    settings: TrainRefinerSettings,
    watch: TrainingWatch,
    resume_from: bytes | None = None,
) -> TrainedRefiner:
    """Train a refiner on the device of the encoder.

    The same seed gives the same weights on the same device, and a resumed training gives those of
    one that was never interrupted.

    Args:
        data: pairs and paintings.
        perception: pretrained networks.
        settings: how.
        watch: progress, checkpoints, stop flag.
        resume_from: a checkpoint of the same training.

    Raises:
        JobError: data or checkpoint cannot be used, or a loss is no longer finite.
        RunStoppedError: the watch's stop flag was set; its last checkpoint is of this moment.
    """
    data.check()
    training = _Training(data, perception, settings)
    if resume_from is not None:
        training.resume(resume_from)
    while training.loop.step < settings.num_steps:
        training.advance(watch)
    return training.result()


class _Training:
    """A training between two steps."""

    def __init__(
        self, data: TrainingData, perception: Perception, settings: TrainRefinerSettings
    ) -> None:
        device = perception.encoder.mean.device
        paintings = [painting.to(device) for painting in data.scaled_paintings()]
        train, held = (
            [to_pair(pair, device) for pair in part]
            for part in data.split(settings.validation_share, settings.seed)
        )
        self.data = data
        self.settings = settings
        self.request = _describe_request(data, settings)
        game = RefinerGame(train, paintings, perception.encoder, settings)
        self.loop = _build_loop(game, settings, device)
        measures = GateMeasures(TextureMeasures(paintings), perception.lpips)
        self.validator = Validator(held, measures)
        self.progress = Progress(request=self.request)
        self.best: dict[str, Tensor] = {}

    def resume(self, checkpoint: bytes) -> None:
        """Go on where a checkpoint was made."""
        self.progress, self.best = restore_checkpoint(self.loop, checkpoint, self.request)

    def advance(self, watch: TrainingWatch) -> None:
        """Make one step, and what is due after it."""
        losses = self.loop.advance()
        step = self.loop.step
        _check_finite(step, losses)
        self._note(curves=self.progress.curves.add(step, self.settings.num_steps, losses))
        if watch.on_step is not None:
            watch.on_step(step, losses)
        if self._is_validation_due(step):
            self._validate(watch)
        should_stop = watch.should_stop()
        if watch.on_checkpoint is not None and (should_stop or watch.wants_checkpoint()):
            watch.on_checkpoint(save_checkpoint(self.loop, self.progress, self.best))
        if should_stop:
            raise RunStoppedError(f"the training was asked to stop after step {step}")

    def result(self) -> TrainedRefiner:
        """The best that was seen, validated once more for its figures and samples."""
        refiner = self.loop.average
        refiner.load_state_dict(self.best)
        validation = self.validator.validate(refiner, self.progress.best_step or 0)
        card = RefinerCard(
            version=version("stylebatch"),
            style_digests=tuple(digest_pictures(painting) for painting in self.data.paintings),
            data_digests=_digest_pairs(self.data),
            settings=self.settings.model_dump(mode="json"),
            metrics=validation.figures(),
            alpha=validation.style_alpha,
            license=self.data.license,
        )
        return TrainedRefiner(refiner.cpu().eval(), card, self.progress.curves.points, validation)

    def _is_validation_due(self, step: int) -> bool:
        num, num_steps = self.settings.num_validations, self.settings.num_steps
        return step * num // num_steps > (step - 1) * num // num_steps

    def _validate(self, watch: TrainingWatch) -> None:
        validation = self.validator.validate(self.loop.average, self.loop.step)
        best_score = self.progress.best_score
        if best_score is None or validation.score > best_score:
            self.best = snapshot(self.loop.average)
            self._note(best_score=validation.score, best_step=validation.step)
        if watch.on_validation is not None:
            watch.on_validation(validation)

    def _note(self, **changes: Any) -> None:
        self.progress = self.progress.model_copy(update=changes)


def _build_loop(
    game: RefinerGame, settings: TrainRefinerSettings, device: torch.device
) -> AdversarialLoop[Refiner, RefinerBatch]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        generator = Refiner()
        discriminator = Discriminator(NUM_CHANNELS, is_normalized=settings.spectral_norm)
    for network in (generator, discriminator):
        # In this order of memory they take a third less time on a CPU.
        network.to(device).to(memory_format=torch.channels_last)
    shared = {name: getattr(settings, name) for name in LoopSettings.__dataclass_fields__}
    random = torch.Generator().manual_seed(settings.seed)
    return AdversarialLoop(game, generator, discriminator, LoopSettings(**shared), random)


def _describe_request(data: TrainingData, settings: TrainRefinerSettings) -> dict[str, JsonValue]:
    """What must be the same for a checkpoint to go on: settings by name, and the pictures."""
    described: dict[str, JsonValue] = settings.model_dump(mode="json")
    described["paintings"] = [digest_pictures(painting) for painting in data.paintings]
    described["pairs"] = [*_digest_pairs(data)]
    return described


def _digest_pairs(data: TrainingData) -> tuple[str, ...]:
    return tuple(digest_pictures(pair.stylized, pair.content) for pair in data.pairs)


def _check_finite(step: int, losses: Mapping[str, float]) -> None:
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise JobError(
                f"training went astray: the loss {name!r} is {loss} at step {step}: lower the "
                "learning rates, or the weight of that loss"
            )
