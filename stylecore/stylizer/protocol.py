"""What every method takes and gives, without torch. Photographs may differ in size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stylecore.errors import RowError

if TYPE_CHECKING:
    from stylecore.images.codec import RgbImage
    from stylecore.metrics.quality import QualityScores


@dataclass(frozen=True, eq=False)
class Content:
    """A photograph to stylize.

    Attributes:
        key: whatever the caller tells it by.
        pixels: already at the size of the output, shape (h, w, 3).
    """

    key: int
    pixels: RgbImage


@dataclass(frozen=True, eq=False)
class Stylized:
    """What became of a photograph: a picture or an error.

    Attributes:
        key: of the ``Content``.
        pixels: the picture, of the content's size; None with an error.
        evaluations: of the objective; None where the method has none.
        error: why there is no picture; it names no URI, since a stylizer knows none.
        note: what a reader of the outcome should know about how it was made.
    """

    key: int
    pixels: RgbImage | None
    evaluations: int | None = None
    error: RowError | None = None
    note: str | None = None


@dataclass(frozen=True, eq=False)
class StylizerInputs:
    """Files, besides the paintings, that a job's settings name.

    Attributes:
        weights: safetensors bytes of the encoder; None for its default weights.
        init: picture to start from, with ``init: image``.
    """

    weights: bytes | None = None
    init: RgbImage | None = None


class Stylizer(Protocol):
    """Makes pictures in one style."""

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """One result for each photograph, not necessarily in their order.

        Raises:
            RunStoppedError: the watch's stop flag was set.
        """

    def score(self, content: RgbImage, picture: RgbImage) -> QualityScores | None:
        """Measured quality of a picture, whoever made it; None where the method has no measure.

        Args:
            content: at the size of the picture, shape (h, w, 3).
            picture: shape (h, w, 3).
        """
