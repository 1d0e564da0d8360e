"""Train a translator from one kind of picture to another, without pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
from pydantic import JsonValue

from stylecore.errors import JobError
from stylecore.generate.cards import TranslatorCard
from stylecore.generate.networks import Generator
from stylecore.images.codec import RgbImage
from stylecore.perception.encoder import Encoder
from stylecore.refine.networks import Discriminator
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings
from stylecore.training.contrast import Translator
from stylecore.training.curves import CurvePoint
from stylecore.training.data import check_sizes, digest_each, hold_out
from stylecore.training.refiner import Perception
from stylecore.training.session import TrainingSession
from stylecore.training.translator_game import TranslatorBatch, TranslatorGame, count_channels
from stylecore.training.translator_settings import TrainTranslatorSettings
from stylecore.training.translator_validation import TranslatorValidation, TranslatorValidator
from stylecore.training.watch import TrainingWatch


@dataclass(frozen=True, eq=False)
class TranslatorData:
    """What a translator learns from.

    Attributes:
        photographs: at least two, each of shape (h, w, 3), at the size of the pictures to make.
        examples: of what they are to become; at least one, at the size that strokes shall have.
        max_side_px: longest side of both.
        license: what both allow, for the card.
    """

    photographs: Sequence[RgbImage]
    examples: Sequence[RgbImage]
    max_side_px: int
    license: str = ""

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises:
            JobError: there is nothing of a kind, or a picture is too small.
        """
        if not self.photographs or not self.examples:
            what = "translate to" if self.photographs else "translate from"
            raise JobError(f"nothing to {what}: name a folder with at least one picture")
        check_sizes("picture", (*self.photographs, *self.examples))

    def split(self, num_held: int, seed: int) -> tuple[list[RgbImage], list[RgbImage]]:
        """Photographs to train on, and photographs to choose the best weights on.

        Returns:
            Two lists without one in common; both are the same where there is one photograph.
        """
        return hold_out(self.photographs, num_held, seed)

    def digests(self) -> dict[str, str]:
        """SHA-256 over all pictures of each kind."""
        photographs, examples = digest_each(self.photographs), digest_each(self.examples)
        return {"photographs": photographs, "examples": examples}


@dataclass(frozen=True, eq=False)
class TrainedTranslator:
    """What training came to.

    Attributes:
        generator: with the best weights of all validations, on the CPU.
        card: says what it is; with ``save_generator`` it becomes a file.
        curves: losses over steps.
        validation: of these weights.
    """

    generator: Generator
    card: TranslatorCard
    curves: tuple[CurvePoint, ...]
    validation: TranslatorValidation


def train_translator(
    data: TranslatorData,
    perception: Perception,
    settings: TrainTranslatorSettings,
    watch: TrainingWatch,
    resume_from: bytes | None = None,
) -> TrainedTranslator:
    """Train a translator on the device of the encoder.

    Args:
        data: pictures of both kinds.
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
    train, held = data.split(settings.num_validation_photographs, settings.seed)
    loop = _build_loop(train, data.examples, encoder, settings)
    validator = TranslatorValidator(held, data.examples, encoder, perception.lpips)
    request: dict[str, JsonValue] = {**settings.model_dump(mode="json"), **data.digests()}
    session = TrainingSession(loop, validator.validate, request, settings.num_validations)
    validation = session.run(watch, resume_from)
    generator = loop.average.generator.cpu().eval()
    card = _make_card(data, settings, validation.figures())
    return TrainedTranslator(generator, card, session.progress.curves.points, validation)


def _build_loop(
    photographs: Sequence[RgbImage],
    examples: Sequence[RgbImage],
    encoder: Encoder,
    settings: TrainTranslatorSettings,
) -> AdversarialLoop[Translator, TranslatorBatch]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        translator = Translator(settings.width, settings.num_blocks)
        discriminator = Discriminator(count_channels(encoder, settings))
    for network in (translator, discriminator):
        # In this order of memory they take a third less time on a CPU.
        network.to(encoder.mean.device).to(memory_format=torch.channels_last)
    game = TranslatorGame(translator, photographs, examples, encoder, settings)
    shared = settings.model_dump(include={*LoopSettings.__dataclass_fields__})
    loop_settings = LoopSettings(**shared, is_annealed=True)
    random = torch.Generator().manual_seed(settings.seed)
    return AdversarialLoop(game, translator, discriminator, loop_settings, random)


def _make_card(
    data: TranslatorData, settings: TrainTranslatorSettings, metrics: Mapping[str, float]
) -> TranslatorCard:
    digests = data.digests()
    return TranslatorCard(
        version=version("stylebatch"),
        width=settings.width,
        num_blocks=settings.num_blocks,
        max_side_px=data.max_side_px,
        num_photographs=len(data.photographs),
        photographs_digest=digests["photographs"],
        num_examples=len(data.examples),
        examples_digest=digests["examples"],
        settings=settings.model_dump(mode="json"),
        metrics=dict(metrics),
        license=data.license,
    )
