"""What is particular to training a generator: photographs in the memory of this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from stylecore.batch.store import Store
from stylecore.batch.uris import safe_stem
from stylecore.errors import JobError, RowError
from stylecore.generate.files import save_generator
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.resize import resize_content
from stylecore.images.tensors import MINIMUM_SIDE_PX
from stylecore.training.generator import GeneratorData, StyleImage, train_generator
from stylecore.training.refiner import Perception
from stylecore.training.request import TrainGeneratorJob
from stylecore.training.watch import TrainingWatch
from tasks.reading import read_ahead
from tasks.training_folder import TrainingFolder
from tasks.training_outputs import Trained, number_rows
from tasks.training_pairs import read_paintings
from tasks.training_sources import INPUT_LIMITS
from tasks.training_stage import STAGES, Stage

_log = logging.getLogger(__name__)


class GeneratorTraining:
    """A training of a generator, with its photographs read.

    Args:
        folder: of the training, cleaned.
        job: what is asked for.

    Raises:
        JobError: there is nothing to train on.
        RowError: the store failed in a way that may pass.
    """

    def __init__(self, folder: TrainingFolder, job: TrainGeneratorJob) -> None:
        cleaning = folder.find_cleaning()
        if cleaning is None:
            raise JobError(f"{folder.output_uri}: the photographs were not cleaned. Start again.")
        self._job = job
        uris = choose_evenly(cleaning.kept, job.training.max_photographs)
        photographs = read_pictures(folder, uris, lambda one: resize_content(one, job.max_side_px))
        styles = [
            StyleImage(safe_stem(uri), digest, pixels)
            for uri, digest, pixels in zip(
                job.styles,
                folder.record.style_digests,
                read_paintings(folder.store, job.styles),
                strict=True,
            )
        ]
        self._data = GeneratorData(photographs, styles, job.max_side_px, job.license)

    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""
        trained = train_generator(self._data, perception, self._job.training, watch, checkpoint)
        card = {**trained.card.model_dump(mode="json"), "style_uris": list(self._job.styles)}
        weights = save_generator(trained.generator, trained.card)
        return Trained(weights, card, trained.curves, number_rows(trained.validation.samples))


def choose_evenly(uris: Sequence[str], most: int) -> Sequence[str]:
    """At most so many, spread over all of them."""
    if len(uris) <= most:
        return uris
    return [uris[index * len(uris) // most] for index in range(most)]


def read_pictures(
    folder: TrainingFolder, uris: Sequence[str], resize: Callable[[RgbImage], RgbImage]
) -> list[RgbImage]:
    """Pictures at the size to train at; those that vanished meanwhile are left out.

    Raises:
        RowError: the store failed in a way that may pass.
    """
    found: list[RgbImage] = []
    reading = read_ahead(lambda uri: _read(folder.store, uri, resize), uris)
    for number, one in enumerate(reading):
        STAGES.post(folder.output_uri, Stage("reading", len(uris), number))
        if isinstance(one, RowError):
            _log.warning("left out: %s", one)
        elif min(one.shape[:2]) >= MINIMUM_SIDE_PX:
            found.append(one)
    return found


def _read(store: Store, uri: str, resize: Callable[[RgbImage], RgbImage]) -> RgbImage | RowError:
    try:
        data, _ = store.read_bytes(uri, INPUT_LIMITS.max_bytes)
        return resize(decode_image(data, uri, INPUT_LIMITS))
    except RowError as error:
        if error.is_passing:
            raise
        return error
