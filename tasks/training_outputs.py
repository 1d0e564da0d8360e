"""What a training leaves behind: the refiner, its card, its curves, and samples to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from stylecore.batch.uris import safe_stem
from stylecore.config import OutputSettings
from stylecore.images.codec import encode_image
from stylecore.refine.files import save_refiner
from stylecore.training.curves import CurvePoint
from stylecore.training.data import TrainingData
from stylecore.training.drawing import draw_curves, lay_side_by_side
from stylecore.training.refiner import TrainedRefiner
from tasks.training_folder import TrainingFolder
from tasks.training_pairs import Pairs

_SAMPLE: Final = OutputSettings(format="jpeg", quality=95)
_LEFT_OUT_KEPT: Final = 100


def write_refiner(
    folder: TrainingFolder, run_uri: str, found: Pairs, trained: TrainedRefiner
) -> dict[str, Any]:
    """Write everything that is left of a finished training, the card last.

    Args:
        folder: of the training.
        run_uri: of the run that made the pictures.
        found: what was trained on.
        trained: what came of it.

    Returns:
        What ``card.json`` says.
    """
    _write_samples(folder, found, trained)
    _write_curves(folder, trained.curves)
    weights = save_refiner(trained.refiner, trained.card)
    folder.store.write_bytes(folder.uri("refiner.safetensors"), weights)
    card = {
        **trained.card.model_dump(mode="json"),
        "styles": list(folder.record.job.styles),
        "pictures_uri": run_uri,
        "pairs": len(found.pairs),
        "left_out": [asdict(one) for one in found.left_out[:_LEFT_OUT_KEPT]],
    }
    folder.write_json("card.json", card)
    folder.delete_checkpoint()
    return card


def _write_samples(folder: TrainingFolder, found: Pairs, trained: TrainedRefiner) -> None:
    """Photograph, stylized and refined picture of the first of those that training did not see."""
    settings = folder.record.job.training
    _, held = TrainingData(found.pairs, []).split(settings.validation_share, settings.seed)
    for pair, sample in zip(held, trained.validation.samples, strict=False):
        pictures = lay_side_by_side(sample)
        uri = folder.uri("samples", f"{safe_stem(pair.name)}.jpg")
        folder.store.write_bytes(uri, encode_image(pictures, _SAMPLE), "image/jpeg")


def _write_curves(folder: TrainingFolder, curves: Sequence[CurvePoint]) -> None:
    folder.write_json("curves.json", {"points": [point.model_dump() for point in curves]})
    svg = draw_curves(curves)
    folder.store.write_bytes(folder.uri("curves.svg"), svg, "image/svg+xml")
