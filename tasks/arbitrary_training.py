"""What is particular to training an arbitrary generator: paintings come from a folder, too."""

from __future__ import annotations

from stylecore.errors import JobError
from stylecore.generate.arbitrary_files import save_arbitrary
from stylecore.images.resize import resize_content
from stylecore.training.arbitrary import ArbitraryData, train_arbitrary
from stylecore.training.refiner import Perception
from stylecore.training.request import TrainArbitraryJob
from stylecore.training.watch import TrainingWatch
from tasks.generator_training import choose_evenly, read_pictures
from tasks.training_folder import TrainingFolder
from tasks.training_outputs import Trained, number_rows


class ArbitraryTraining:
    """A training of an arbitrary generator, with its pictures read.

    Args:
        folder: of the training, cleaned.
        job: what is asked for.

    Raises:
        JobError: there is nothing to train on.
        RowError: the store failed in a way that may pass.
    """

    def __init__(self, folder: TrainingFolder, job: TrainArbitraryJob) -> None:
        photographs, paintings = folder.find_cleaning(), folder.find_paintings()
        if photographs is None or paintings is None:
            raise JobError(f"{folder.output_uri}: the pictures were not cleaned. Start again.")
        self._job = job
        style_uris = choose_evenly(paintings.kept, job.training.max_paintings)
        content_uris = choose_evenly(photographs.kept, job.training.max_photographs)
        contents, styles = (
            read_pictures(folder, uris, lambda one: resize_content(one, job.max_side_px))
            for uris in (content_uris, style_uris)
        )
        self._data = ArbitraryData(contents, styles, job.max_side_px, job.license)

    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""
        trained = train_arbitrary(self._data, perception, self._job.training, watch, checkpoint)
        card = {**trained.card.model_dump(mode="json"), "styles_uri": self._job.styles_uri}
        weights = save_arbitrary(trained.decoder, trained.card)
        return Trained(weights, card, trained.curves, number_rows(trained.validation.samples))
