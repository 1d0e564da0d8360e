"""What is particular to training a translator: pictures of two folders, in memory."""

from __future__ import annotations

from stylecore.errors import JobError
from stylecore.generate.files import save_generator
from stylecore.images.resize import resize_style
from stylecore.training.refiner import Perception
from stylecore.training.request import TrainTranslatorJob
from stylecore.training.translator import TranslatorData, train_translator
from stylecore.training.watch import TrainingWatch
from tasks.generator_training import read_photographs, take_evenly
from tasks.training_folder import CleaningReport, TrainingFolder
from tasks.training_outputs import Trained


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
        photographs, examples = (
            read_photographs(folder, take_evenly(_kept_below(cleaning, uri), most), side_px)
            for uri in (job.from_uri, job.to_uri)
        )
        # As a painting is for a style: its strokes count at the size of the pictures to make.
        examples = [resize_style(one, side_px) for one in examples]
        self._data = TranslatorData(photographs, examples, side_px, job.license)

    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""
        trained = train_translator(self._data, perception, self._job.training, watch, checkpoint)
        rows = enumerate(trained.validation.samples)
        samples = {f"{number:02d}": row for number, row in rows}
        uris = {"from_uri": self._job.from_uri, "to_uri": self._job.to_uri}
        card = {**trained.card.model_dump(mode="json"), **uris}
        weights = save_generator(trained.generator, trained.card)
        return Trained(weights, card, trained.curves, samples)


def _kept_below(cleaning: CleaningReport, folder_uri: str) -> list[str]:
    kept = [uri for uri in cleaning.kept if uri.startswith(f"{folder_uri}/")]
    if not kept:
        raise JobError(
            f"{folder_uri}: no picture there is fit to train on: {cleaning.line()}. cleaning.json "
            "says why"
        )
    return kept
