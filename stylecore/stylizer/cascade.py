"""Several styles one after another: each stylizer works on the picture of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from stylecore.stylizer.protocol import Content, Stylized, Stylizer

if TYPE_CHECKING:
    from stylecore.images.codec import RgbImage
    from stylecore.metrics.quality import QualityScores


class CascadeStylizer:
    """Makes a picture in the first style, that picture in the second, and so on.

    Args:
        stages: at least one, in their order.
    """

    def __init__(self, stages: Sequence[Stylizer]) -> None:
        self._stages = stages

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``, in order; evaluations are those of all stages."""
        for content in contents:
            yield self._stylize_one(content)

    def score(self, content: RgbImage, picture: RgbImage) -> QualityScores | None:
        """As ``Stylizer.score``, against the photograph and the last style."""
        return self._stages[-1].score(content, picture)

    def _stylize_one(self, content: Content) -> Stylized:
        evaluations, notes = 0, []
        pixels = content.pixels
        for stage in self._stages:
            (made,) = stage.stylize([Content(content.key, pixels)])
            evaluations += made.evaluations or 0
            if made.pixels is None:
                return made
            notes += [made.note] if made.note else []
            pixels = made.pixels
        return Stylized(content.key, pixels, evaluations, note="; ".join(notes) or None)
