"""Train a feed-forward generator for one or several styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
from pydantic import JsonValue

from stylecore.errors import JobError
from stylecore.generate.cards import GeneratorCard, GeneratorStyle
from stylecore.generate.networks import Generator
from stylecore.images.codec import RgbImage
from stylecore.images.resize import resize_style
from stylecore.images.tensors import pad_to_minimum, to_batch
from stylecore.refine.networks import Discriminator
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings
from stylecore.training.curves import CurvePoint
from stylecore.training.data import check_sizes, digest_each, hold_out
from stylecore.training.generator_game import GeneratorBatch, GeneratorGame
from stylecore.training.generator_validation import GeneratorValidator
from stylecore.training.precision import fastest_precision
from stylecore.training.refiner import Perception
from stylecore.training.session import TrainingSession
from stylecore.training.settings import TrainGeneratorSettings
from stylecore.training.style_validation import StyleValidation
from stylecore.training.views import NUM_CHANNELS
from stylecore.training.watch import TrainingWatch


@dataclass(frozen=True, eq=False)
class StyleImage:
    """A painting to learn.

    Attributes:
        name: of its file.
        digest: SHA-256 of its file.
        pixels: shape (h, w, 3), at full size.
    """

    name: str
    digest: str
    pixels: RgbImage


@dataclass(frozen=True, eq=False)
class GeneratorData:
    """What a generator learns from.

    Attributes:
        photographs: at least one, at the size of the pictures to make.
        styles: at least one.
        max_side_px: longest side of the photographs; paintings are scaled to it.
        license: what paintings and photographs allow, for the card.
    """

    photographs: Sequence[RgbImage]
    styles: Sequence[StyleImage]
    max_side_px: int
    license: str = ""

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises:
            JobError: there are no photographs or paintings, or one is too small.
        """
        if not self.photographs or not self.styles:
            what = "painting" if self.photographs else "photograph"
            raise JobError(f"nothing to train a generator on: name at least one {what}")
        check_sizes("photograph", self.photographs)

    def split(self, num_held: int, seed: int) -> tuple[list[RgbImage], list[RgbImage]]:
        """Photographs to train on, and photographs to choose the best weights on.

        Returns:
            Two lists without one in common; both are the same where one would be empty.
        """
        return hold_out(self.photographs, num_held, seed)


@dataclass(frozen=True, eq=False)
class TrainedGenerator:
    """What training came to.

    Attributes:
        generator: with the best weights of all validations, on the CPU.
        card: says what it is; with ``save_generator`` it becomes a file.
        curves: losses over steps.
        validation: of these weights.
    """

    generator: Generator
    card: GeneratorCard
    curves: tuple[CurvePoint, ...]
    validation: StyleValidation


def train_generator(
    data: GeneratorData,
    perception: Perception,
    settings: TrainGeneratorSettings,
    watch: TrainingWatch,
    resume_from: bytes | None = None,
) -> TrainedGenerator:
    """Train a generator on the device of the encoder.

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
    device = encoder.mean.device
    paintings = [
        pad_to_minimum(to_batch([resize_style(style.pixels, data.max_side_px)])).to(device)
        for style in data.styles
    ]
    train, held = data.split(settings.num_validation_photographs, settings.seed)
    game = GeneratorGame(train, paintings, encoder, settings, fastest_precision(device))
    loop = _build_loop(game, len(data.styles), settings, device)
    validator = GeneratorValidator(held, game.target, encoder, perception.lpips, settings)
    request = _describe_request(data, settings)
    session = TrainingSession(loop, validator.validate, request, settings.num_validations)
    validation = session.run(watch, resume_from)
    generator = loop.average.cpu().eval()
    card = _make_card(data, settings, validation)
    return TrainedGenerator(generator, card, session.progress.curves.points, validation)


def _build_loop(
    game: GeneratorGame, num_styles: int, settings: TrainGeneratorSettings, device: torch.device
) -> AdversarialLoop[Generator, GeneratorBatch]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        generator = Generator(num_styles, settings.width, settings.num_blocks)
        discriminator = Discriminator(NUM_CHANNELS) if settings.adversary_weight > 0 else None
    for network in filter(None, (generator, discriminator)):
        # In this order of memory they take a third less time on a CPU.
        network.to(device).to(memory_format=torch.channels_last)
    shared = settings.model_dump(include={*LoopSettings.__dataclass_fields__})
    random = torch.Generator().manual_seed(settings.seed)
    loop_settings = LoopSettings(**shared, feature_weight=0.0, is_annealed=True)
    return AdversarialLoop(game, generator, discriminator, loop_settings, random)


def _make_card(
    data: GeneratorData, settings: TrainGeneratorSettings, validation: StyleValidation
) -> GeneratorCard:
    return GeneratorCard(
        version=version("stylebatch"),
        width=settings.width,
        num_blocks=settings.num_blocks,
        styles=tuple(GeneratorStyle(name=one.name, digest=one.digest) for one in data.styles),
        max_side_px=data.max_side_px,
        num_photographs=len(data.photographs),
        photographs_digest=digest_each(data.photographs),
        settings=settings.model_dump(mode="json"),
        metrics=validation.figures(),
        license=data.license,
    )


def _describe_request(
    data: GeneratorData, settings: TrainGeneratorSettings
) -> dict[str, JsonValue]:
    """What must be the same for a checkpoint to go on: settings by name, and the pictures."""
    described: dict[str, JsonValue] = settings.model_dump(mode="json")
    described["paintings"] = [style.digest for style in data.styles]
    described["photographs"] = digest_each(data.photographs)
    return described
