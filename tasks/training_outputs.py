"""What a training leaves behind: the network, its card, its curves, and samples to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stylecore.config import OutputSettings
from stylecore.images.codec import RgbImage, encode_image
from stylecore.training.curves import CurvePoint
from stylecore.training.drawing import draw_curves, lay_side_by_side
from tasks.training_folder import TrainingFolder

_SAMPLE: Final = OutputSettings(format="jpeg", quality=95)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network as it is written.

    Attributes:
        weights: the file.
        card: what ``card.json`` says.
        curves: losses over steps.
        samples: rows of pictures that training did not see, by name.
    """

    weights: bytes
    card: Mapping[str, Any]
    curves: Sequence[CurvePoint]
    samples: Mapping[str, Sequence[RgbImage]]


def number_rows(samples: Sequence[Sequence[RgbImage]]) -> dict[str, Sequence[RgbImage]]:
    """Rows of pictures by number, where they have no names."""
    return {f"{number:02d}": row for number, row in enumerate(samples)}


def write_trained(folder: TrainingFolder, trained: Trained) -> dict[str, Any]:
    """Write everything that is left of a finished training, the card last.

    Returns:
        What ``card.json`` says.
    """
    for name, row in trained.samples.items():
        data = encode_image(lay_side_by_side(row), _SAMPLE)
        folder.store.write_bytes(folder.uri("samples", f"{name}.jpg"), data, "image/jpeg")
    points = [point.model_dump() for point in trained.curves]
    folder.write_json("curves.json", {"points": points})
    folder.store.write_bytes(folder.uri("curves.svg"), draw_curves(trained.curves), "image/svg+xml")
    folder.store.write_bytes(folder.weights_uri, trained.weights)
    folder.write_json("card.json", trained.card)
    folder.delete_checkpoint()
    return dict(trained.card)
