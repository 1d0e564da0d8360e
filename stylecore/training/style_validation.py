"""What validating a network that draws pictures in styles comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch
from stylecore.types import ImageBatch

_MAX_SAMPLES = 4


@dataclass(frozen=True)
class JudgedPicture:
    """One picture, and the losses of it."""

    picture: ImageBatch
    total: float
    content: float
    style: float
    lpips: float


@dataclass(frozen=True, eq=False)
class StyleValidation:
    """What the losses say of pictures.

    Attributes:
        step: after which it was made.
        total: the losses with their weights, averaged over photographs and styles.
        content: mean content loss, not weighted.
        style: mean style loss, not weighted.
        lpips: mean distance from the photographs.
        pictures: how many there were.
        samples: of the first few, photograph and picture, each of shape (h, w, 3).
    """

    step: int
    total: float
    content: float
    style: float
    lpips: float
    pictures: int
    samples: list[list[RgbImage]]

    @property
    def score(self) -> tuple[float, float]:
        """Less of the losses, and less distance from the photographs."""
        return -self.total, -self.lpips

    def headline(self) -> str:
        """The score in a few words."""
        return f"validation {self.total:.3g}"

    def figures(self) -> dict[str, float]:
        """For the card."""
        return {
            "step": float(self.step),
            "pictures": float(self.pictures),
            "total_loss": self.total,
            "content_loss": self.content,
            "style_loss": self.style,
            "lpips_content": self.lpips,
        }


class JudgedPhotographs:
    """Gathers photographs with what was made of each, a picture a style."""

    def __init__(self) -> None:
        self._losses: list[tuple[float, float, float, float]] = []
        self._samples: list[list[RgbImage]] = []
        self._num_photographs = 0

    def add(self, photograph: RgbImage, pictures: Sequence[JudgedPicture]) -> None:
        """One photograph in every style; the sample of the next shows the next style."""
        self._losses += [(one.total, one.content, one.style, one.lpips) for one in pictures]
        if len(self._samples) < _MAX_SAMPLES:
            shown = pictures[self._num_photographs % len(pictures)].picture
            self._samples.append([photograph, from_batch(shown)[0]])
        self._num_photographs += 1

    def validation(
        self, step: int, average: Callable[[Sequence[float]], float] = fmean
    ) -> StyleValidation:
        """What it comes to.

        Args:
            step: after which the pictures were made.
            average: of the totals.
        """
        totals, contents, styles, distances = zip(*self._losses, strict=True)
        return StyleValidation(
            step=step,
            total=average(totals),
            content=fmean(contents),
            style=fmean(styles),
            lpips=fmean(distances),
            pictures=len(totals),
            samples=self._samples,
        )
