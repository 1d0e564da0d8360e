"""Train an arbitrary generator: a decoder for any style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
from pydantic import JsonValue

from stylecore.errors import JobError
from stylecore.generate.arbitrary import FEATURES
from stylecore.generate.cards import ArbitraryCard
from stylecore.generate.decoder import Decoder
from stylecore.images.codec import RgbImage
from stylecore.images.resize import resize_style
from stylecore.perception.encoder import Encoder
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings
from stylecore.training.arbitrary_game import ArbitraryBatch, ArbitraryGame
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.arbitrary_validation import ArbitraryValidator
from stylecore.training.curves import CurvePoint
from stylecore.training.data import check_sizes, digest_each, hold_out
from stylecore.training.precision import fastest_precision
from stylecore.training.refiner import Perception
from stylecore.training.session import TrainingSession
from stylecore.training.style_validation import StyleValidation
from stylecore.training.style_views import measure_views
from stylecore.training.watch import TrainingWatch

_NUM_SEEN_PAINTINGS = 3  # to validate in, where none are kept from training


@dataclass(frozen=True, eq=False)
class ArbitraryData:
    """What an arbitrary generator learns from.

    Attributes:
        photographs: at least one, each of shape (h, w, 3), at the size of the pictures to make.
        paintings: at least one, of any size; they are scaled to ``max_side_px``.
        max_side_px: longest side of the pictures to make.
        license: what paintings and photographs allow, for the card.
    """

    photographs: Sequence[RgbImage]
    paintings: Sequence[RgbImage]
    max_side_px: int
    license: str = ""

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises:
            JobError: there are no photographs or paintings, or one is too small.
        """
        for what, pictures in (("photograph", self.photographs), ("painting", self.paintings)):
            if not pictures:
                raise JobError(f"nothing to train on: name a folder with at least one {what}")
            check_sizes(what, pictures)

    def scaled_paintings(self) -> list[RgbImage]:
        """The paintings at the size that strokes have in a picture of ``max_side_px``."""
        return [resize_style(one, self.max_side_px) for one in self.paintings]

    def digest(self) -> str:
        """SHA-256 over all pictures."""
        return digest_each((*self.photographs, *self.paintings))


@dataclass(frozen=True, eq=False)
class TrainedArbitrary:
    """What training came to.

    Attributes:
        decoder: with the best weights of all validations, on the CPU.
        card: says what it is; with ``save_arbitrary`` it becomes a file.
        curves: losses over steps.
        validation: of these weights.
    """

    decoder: Decoder
    card: ArbitraryCard
    curves: tuple[CurvePoint, ...]
    validation: StyleValidation


def train_arbitrary(
    data: ArbitraryData,
    perception: Perception,
    settings: TrainArbitrarySettings,
    watch: TrainingWatch,
    resume_from: bytes | None = None,
) -> TrainedArbitrary:
    """Train a decoder on the device of the encoder.

    Args:
        data: photographs and paintings.
        perception: pretrained networks.
        settings: how.
        watch: progress, checkpoints, stop flag.
        resume_from: a checkpoint of the same training.

    Raises:
        JobError: data or checkpoint cannot be used, or a loss is no longer finite.
        RunStoppedError: the watch's stop flag was set; its last checkpoint is of this moment.
    """
    data.check()
    encoder = perception.encoder
    seed = settings.seed
    train, held = hold_out(data.photographs, settings.num_validation_photographs, seed)
    paintings, judged = hold_out(data.scaled_paintings(), settings.num_validation_paintings, seed)
    judged = judged[: settings.num_validation_paintings or _NUM_SEEN_PAINTINGS]
    random = torch.Generator().manual_seed(seed)
    views = measure_views(encoder, paintings, train, settings, random, watch.should_stop)
    precision = fastest_precision(encoder.mean.device)
    game = ArbitraryGame(train, views, encoder.in_precision(precision), settings)
    loop = _build_loop(game, encoder, settings, random)
    validator = ArbitraryValidator(held, judged, encoder, perception.lpips, settings)
    request = _describe_request(data, settings)
    session = TrainingSession(loop, validator.validate, request, settings.num_validations)
    validation = session.run(watch, resume_from)
    decoder = loop.average.cpu().eval()
    card = _make_card(data, settings, decoder, validation)
    return TrainedArbitrary(decoder, card, session.progress.curves.points, validation)


def _build_loop(
    game: ArbitraryGame,
    encoder: Encoder,
    settings: TrainArbitrarySettings,
    random: torch.Generator,
) -> AdversarialLoop[Decoder, ArbitraryBatch]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        decoder = Decoder(_num_features(game), settings.width, settings.num_blocks)
    # In this order of memory it takes a third less time on a CPU.
    decoder.to(encoder.mean.device).to(memory_format=torch.channels_last)
    loop_settings = LoopSettings(
        num_steps=settings.num_steps,
        adversary="bce",
        adversary_weight=0.0,
        feature_weight=0.0,
        generator_learning_rate=settings.learning_rate,
        discriminator_learning_rate=0.0,
        averaging=settings.averaging,
        noise=0.0,
        clip_norm=settings.clip_norm,
        success_limit=1.0,
        is_annealed=True,
    )
    return AdversarialLoop(game, decoder, None, loop_settings, random)


def _num_features(game: ArbitraryGame) -> int:
    return game.views[FEATURES].mean.shape[1]


def _make_card(
    data: ArbitraryData,
    settings: TrainArbitrarySettings,
    decoder: Decoder,
    validation: StyleValidation,
) -> ArbitraryCard:
    return ArbitraryCard(
        version=version("stylebatch"),
        num_features=decoder.enter.in_channels,
        width=settings.width,
        num_blocks=settings.num_blocks,
        max_side_px=data.max_side_px,
        num_paintings=len(data.paintings),
        num_photographs=len(data.photographs),
        pictures_digest=data.digest(),
        settings=settings.model_dump(mode="json"),
        metrics=validation.figures(),
        license=data.license,
    )


def _describe_request(
    data: ArbitraryData, settings: TrainArbitrarySettings
) -> dict[str, JsonValue]:
    """What must be the same for a checkpoint to go on: settings by name, and the pictures."""
    described: dict[str, JsonValue] = settings.model_dump(mode="json")
    described["pictures"] = data.digest()
    return described
