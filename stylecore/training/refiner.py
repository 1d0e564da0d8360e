"""Train a refiner for a style, or for a single picture: the same function on fewer pairs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import torch
from pydantic import JsonValue
from torch import nn

from stylecore.metrics.texture import TextureMeasures
from stylecore.perception.encoder import Encoder
from stylecore.refine.files import RefinerCard
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Discriminator, Refiner
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings
from stylecore.training.curves import CurvePoint
from stylecore.training.data import TrainingData, digest_pictures, to_pair
from stylecore.training.refiner_game import RefinerBatch, RefinerGame
from stylecore.training.session import TrainingSession
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.validation import RefinerValidation, Validator
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
    validation: RefinerValidation


def train_refiner(
    data: TrainingData,
    perception: Perception,
    settings: TrainRefinerSettings,
    watch: TrainingWatch,
    resume_from: bytes | None = None,
) -> TrainedRefiner:
    """Train a refiner on the device of the encoder.

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
    device = perception.encoder.mean.device
    paintings = [painting.to(device) for painting in data.scaled_paintings()]
    train, held = (
        [to_pair(pair, device) for pair in part]
        for part in data.split(settings.validation_share, settings.seed)
    )
    loop = _build_loop(
        RefinerGame(train, paintings, perception.encoder, settings), settings, device
    )
    validator = Validator(held, GateMeasures(TextureMeasures(paintings), perception.lpips))
    request = _describe_request(data, settings)
    session = TrainingSession(loop, validator.validate, request, settings.num_validations)
    validation = session.run(watch, resume_from)
    card = _make_card(data, settings, validation)
    refiner = loop.average.cpu().eval()
    return TrainedRefiner(refiner, card, session.progress.curves.points, validation)


def _make_card(
    data: TrainingData, settings: TrainRefinerSettings, validation: RefinerValidation
) -> RefinerCard:
    return RefinerCard(
        version=version("stylebatch"),
        style_digests=tuple(digest_pictures(painting) for painting in data.paintings),
        data_digests=_digest_pairs(data),
        settings=settings.model_dump(mode="json"),
        metrics=validation.figures(),
        alpha=validation.style_alpha,
        license=data.license,
    )


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
    has_adversary = settings.adversary_weight > 0 or settings.feature_weight > 0
    shared = settings.model_dump(include={*LoopSettings.__dataclass_fields__})
    random = torch.Generator().manual_seed(settings.seed)
    return AdversarialLoop(
        game, generator, discriminator if has_adversary else None, LoopSettings(**shared), random
    )


def _describe_request(data: TrainingData, settings: TrainRefinerSettings) -> dict[str, JsonValue]:
    """What must be the same for a checkpoint to go on: settings by name, and the pictures."""
    described: dict[str, JsonValue] = settings.model_dump(mode="json")
    described["paintings"] = [digest_pictures(painting) for painting in data.paintings]
    described["pairs"] = [*_digest_pairs(data)]
    return described


def _digest_pairs(data: TrainingData) -> tuple[str, ...]:
    return tuple(digest_pictures(pair.stylized, pair.content) for pair in data.pairs)
