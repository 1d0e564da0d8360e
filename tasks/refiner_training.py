"""What is particular to training a refiner: pairs of pictures and photographs."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Final

from stylecore.batch.uris import safe_stem
from stylecore.errors import JobError
from stylecore.refine.files import save_refiner
from stylecore.training.data import TrainingData
from stylecore.training.refiner import Perception, train_refiner
from stylecore.training.request import TrainRefinerJob
from stylecore.training.watch import TrainingWatch
from tasks.storage import open_run
from tasks.training_folder import TrainingFolder
from tasks.training_outputs import Trained
from tasks.training_pairs import read_paintings, read_pairs

_LEFT_OUT_KEPT: Final = 100
_log = logging.getLogger(__name__)


class RefinerTraining:
    """A training of a refiner, with its pairs read.

    Args:
        folder: of the training, cleaned.
        job: what is asked for.
        run_uri: of the run that made the pictures.

    Raises:
        JobError: there is nothing to train on.
    """

    def __init__(self, folder: TrainingFolder, job: TrainRefinerJob, run_uri: str) -> None:
        cleaning = folder.find_cleaning()
        if cleaning is None:
            raise JobError(f"{folder.output_uri}: the photographs were not cleaned. Start again.")
        self._job, self._run_uri = job, run_uri
        self._found = read_pairs(open_run(run_uri), job, cleaning.kept)
        for one in self._found.left_out:
            _log.warning("left out: %s: %s", one.uri, one.reason)
        paintings = read_paintings(folder.store, job.styles)
        self._data = TrainingData(self._found.pairs, paintings, job.license)

    def train(
        self, perception: Perception, watch: TrainingWatch, checkpoint: bytes | None
    ) -> Trained:
        """Train, and say what is to be written of it."""
        settings = self._job.training
        trained = train_refiner(self._data, perception, settings, watch, checkpoint)
        _, held = self._data.split(settings.validation_share, settings.seed)
        names = [safe_stem(pair.name) for pair in held]
        card = {
            **trained.card.model_dump(mode="json"),
            "styles": list(self._job.styles),
            "pictures_uri": self._run_uri,
            "pairs": len(self._found.pairs),
            "left_out": [asdict(one) for one in self._found.left_out[:_LEFT_OUT_KEPT]],
        }
        samples = dict(zip(names, trained.validation.samples, strict=False))
        weights = save_refiner(trained.refiner, trained.card)
        return Trained(weights, card, trained.curves, samples)
