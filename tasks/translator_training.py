"""What is particular to training a translator: pictures of two folders, in memory."""

from __future__ import annotations

from stylecore.errors import JobError
from stylecore.generate.files import save_generator
from stylecore.images.resize import resize_content, resize_style
from stylecore.training.refiner import Perception
from stylecore.training.request import TrainTranslatorJob
from stylecore.training.translator import TranslatorData, train_translator
from stylecore.training.watch import TrainingWatch
from tasks.generator_training import choose_evenly, read_pictures
from tasks.training_folder import CleaningReport, TrainingFolder
from tasks.training_outputs import Trained, number_rows


class TranslatorTraining:
    """A training of a translator, with its pictures read.

    Args:
        folder: of the training, cleaned.
        job: what is asked for.

    Raises:
        JobError: there is nothing to train on.
        RowError: the store failed in a way that may pass.
    """

    def __init__(self, folder: TrainingFolder, job: TrainTranslatorJob) -> None:
        cleaning = folder.find_cleaning()
        if cleaning is None:
            raise JobError(f"{folder.output_uri}: the pictures were not cleaned. Start again.")
        self._job = job
        most, side_px = job.training.max_pictures, job.max_side_px
        before, after = (
            choose_evenly(_kept_below(cleaning, uri), most) for uri in (job.from_uri, job.to_uri)
        )
        photographs = read_pictures(folder, before, lambda one: resize_content(one, side_px))
        # As a painting is for a style: its strokes count at the size of the pictures to make.
        examples = read_pictures(folder, after, lambda one: resize_style(one, side_px))
        self._data = TranslatorData(photographs, examples, side_px, job.license)

    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""
        trained = train_translator(self._data, perception, self._job.training, watch, checkpoint)
        uris = {"from_uri": self._job.from_uri, "to_uri": self._job.to_uri}
        card = {**trained.card.model_dump(mode="json"), **uris}
        weights = save_generator(trained.generator, trained.card)
        return Trained(weights, card, trained.curves, number_rows(trained.validation.samples))


def _kept_below(cleaning: CleaningReport, folder_uri: str) -> list[str]:
    kept = [uri for uri in cleaning.kept if uri.startswith(f"{folder_uri}/")]
    if not kept:
        raise JobError(
            f"{folder_uri}: no picture there is fit to train on: {cleaning.line()}. cleaning.json "
            "says why"
        )
    return kept
