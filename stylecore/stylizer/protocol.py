"""What every method takes and gives, without torch. Photographs may differ in size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stylecore.errors import RowError
from stylecore.images.codec import GrayImage, RgbImage
from stylecore.images.masks import resize_mask
from stylecore.images.resize import resize_content

if TYPE_CHECKING:
    from stylecore.metrics.quality import QualityScores
    from stylecore.refine.gate import GateChoice


@dataclass(frozen=True, eq=False)
class Content:
    """A photograph to stylize.

    Attributes:
        key: whatever the caller tells it by.
        pixels: already at the size of the output, shape (h, w, 3).
        masks: where each painting of the style goes, in their order: white is where it does, and
            None everywhere. Shape (h, w). Without any, all paintings are blended everywhere.
        start: picture of the same size to begin with, in place of what the settings say.
    """

    key: int
    pixels: RgbImage
    masks: tuple[GrayImage | None, ...] = ()
    start: RgbImage | None = None


def content_at(content: Content, max_side_px: int) -> Content:
    """The photograph and its masks with no side longer than ``max_side_px``."""
    pixels = resize_content(content.pixels, max_side_px)
    masks = tuple(mask if mask is None else resize_mask(mask, pixels) for mask in content.masks)
    start = content.start if content.start is None else resize_content(content.start, max_side_px)
    return Content(content.key, pixels, masks, start)


@dataclass(frozen=True, eq=False)
class StylePainting:
    """A painting of a style, at full size.

    Attributes:
        pixels: shape (h, w, 3).
        weight: only its ratio to the weights of the style's other paintings matters.
        mask: white is the part of it that counts, shape (h, w); None is all of it.
        digest: SHA-256 of its file, by which generators know it.
    """

    pixels: RgbImage
    weight: float = 1.0
    mask: GrayImage | None = None
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Stylized:
    """What became of a photograph: a picture or an error.

    Attributes:
        key: of the ``Content``.
        pixels: the picture, of the content's size; None with an error.
        evaluations: of the objective; None where the method has none.
        error: why there is no picture; it names no URI, since a stylizer knows none.
        note: what a reader of the outcome should know about how it was made.
        seconds: its share of the device's time; None where that was not measured.
        refinement: what the gate of the refiner saw; None: it was not refined.
    """

    key: int
    pixels: RgbImage | None
    evaluations: int | None = None
    error: RowError | None = None
    note: str | None = None
    seconds: float | None = None
    refinement: GateChoice | None = None


@dataclass(frozen=True, eq=False)
class StylizerInputs:
    """Files, besides the paintings, that a job's settings name.

    Attributes:
        weights: safetensors bytes of the encoder; None for its default weights.
        init: picture to start from, with ``init: image``.
        refiner: safetensors bytes of the refiner; None where none is named.
        generator: safetensors bytes of the generator; None where none is named.
    """

    weights: bytes | None = None
    init: RgbImage | None = None
    refiner: bytes | None = None
    generator: bytes | None = None


class Stylizer(Protocol):
    """Makes pictures in one style."""

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """One result for each photograph, not necessarily in their order.

        Raises:
            RunStoppedError: the watch's stop flag was set.
        """

    def score(self, content: Content, picture: RgbImage) -> QualityScores | None:
        """Measured quality of a picture, whoever made it; None where the method has no measure.

        Args:
            content: its photograph and masks.
            picture: shape (h, w, 3).
        """
