"""What the dashboard shows of a training: a progress bar with its losses, curves and samples."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from stylecore.config import OutputSettings
from stylecore.images.codec import RgbImage, encode_image
from stylecore.images.resize import resize_content
from tasks.publish import duration
from tasks.server_calls import ProgressBar, hurried, shown_if_possible
from tasks.training_folder import TrainingFolder
from tasks.training_stage import STAGES

if TYPE_CHECKING:
    from tasks.training import Interim

_PUBLISH_EVERY_S: Final = 8.0
_MARKDOWN_BYTES: Final = 90_000
_SAMPLE_SIDE_PX: Final = 480  # of three pictures side by side
_QUALITY: Final = OutputSettings(format="webp", quality=75)  # lines cost half of what JPEG takes

_SAMPLES: Final = {
    "refiner": "Photograph, stylized, refined",
    "generator": "Photograph, generated",
    "arbitrary": "Photograph, generated",
    "translator": "Photograph, translated",
}


class TrainingPublisher:
    """Keeps one progress artifact of a training up to date, at most every eight seconds."""

    def __init__(self, folder: TrainingFolder) -> None:
        self._folder = folder
        self._published = time.monotonic()
        self._start: tuple[float, float] | None = None
        self._bar = ProgressBar(f"training-{folder.id}")
        self._bar.show(0.0, "reading the pictures")

    def publish(self, *, is_last: bool = False) -> None:
        """Show how far the training is, unless that was just done."""
        now = time.monotonic()
        stage = STAGES.read(self._folder.output_uri)
        if stage is None or (now - self._published < _PUBLISH_EVERY_S and not is_last):
            return
        self._published = now
        done = stage.count()
        started, before = self._start = self._start or (now, done)
        rate = (done - before) / (now - started) if now > started else 0.0
        left = 0.0 if done == stage.total else (stage.total - done) / rate if rate else None
        text = f"step {stage.counts()}; time left {duration(left)}"
        self._bar.show(100.0 * done / stage.total, text)
        get_run_logger().info(text)


def publish_interim(folder: TrainingFolder, interim: Interim) -> None:
    """Show curves and samples of a training that goes on or is finished."""
    markdown = training_markdown(folder, interim)
    with shown_if_possible("the validation"), hurried(retries=1):  # the training waits for it
        create_markdown_artifact(
            key=f"{folder.record.network}-{folder.id}",
            markdown=markdown,
            description=f"validation after step {interim.validation.step}",
        )


def training_markdown(folder: TrainingFolder, interim: Interim) -> str:
    """Figures, curves and samples as Markdown of less than 100 KB, pictures as data URIs."""
    from stylecore.training.drawing import rasterize_curves

    validation = interim.validation
    lines = [
        f"# After step {validation.step} of {folder.record.job.training.num_steps}",
        "",
        *_table(validation.figures()),
        f"![curves]({_data_uri(rasterize_curves(interim.curves))})",
        "",
        f"{_SAMPLES[folder.record.network]}, of pictures that training does not see:",
        "",
    ]
    text = "\n".join(lines)
    for line in _sample_lines(validation.samples):
        if len(text) + len(line) > _MARKDOWN_BYTES:
            break
        text += line
    return text


def _table(figures: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {value:.4g} |" for name, value in figures.items()]
    return ["| on validation pictures | |", "|---|---|", *rows, ""]


def _sample_lines(samples: Sequence[Sequence[RgbImage]]) -> list[str]:
    from stylecore.training.drawing import lay_side_by_side

    lines = []
    for one in samples:
        row = lay_side_by_side(one)
        lines.append(f"![sample]({_data_uri(resize_content(row, _SAMPLE_SIDE_PX))})\n\n")
    return lines


def _data_uri(picture: RgbImage) -> str:
    data = base64.b64encode(encode_image(picture, _QUALITY)).decode()
    return f"data:image/webp;base64,{data}"
