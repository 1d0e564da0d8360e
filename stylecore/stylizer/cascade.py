"""Several styles one after another: each stylizer works on the picture of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stylecore.errors import JobError
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
        """As ``Stylizer.stylize``; evaluations are those of all stages.

        Raises:
            JobError: a photograph has masks.
        """
        contents, passage = _without_masks(contents), _Passage()
        for stage in self._stages[:-1]:
            contents = passage.through(stage, contents)
        for made in passage.stylize(self._stages[-1], contents):
            yield passage.finish(made)
            yield from passage.take_failed()
        yield from passage.take_failed()

    def score(self, content: Content, picture: RgbImage) -> QualityScores | None:
        """As ``Stylizer.score``, against the photograph and the last style."""
        return self._stages[-1].score(content, picture)


def _without_masks(contents: Iterable[Content]) -> Iterator[Content]:
    for content in contents:
        if content.masks:
            raise JobError("a cascade takes no masks: leave them out, or turn cascade off")
        yield content


class _Passage:
    """What pictures bring along from stage to stage."""

    def __init__(self) -> None:
        self._evaluations: Counter[int] = Counter()
        self._seconds: dict[int, float] = {}
        self._notes: dict[int, list[str]] = {}
        self._failed: list[Stylized] = []

    def through(self, stage: Stylizer, contents: Iterable[Content]) -> Iterator[Content]:
        """The pictures of a stage as the photographs of the next; what failed is set aside."""
        for made in self.stylize(stage, contents):
            if made.pixels is None:
                self._failed.append(self.finish(made))
            else:
                yield Content(made.key, made.pixels)

    def stylize(self, stage: Stylizer, contents: Iterable[Content]) -> Iterator[Stylized]:
        """What a stage makes, noting what that took."""
        for made in stage.stylize(contents):
            self._evaluations[made.key] += made.evaluations or 0
            self._seconds[made.key] = self._seconds.get(made.key, 0.0) + (made.seconds or 0.0)
            if made.note:
                self._notes.setdefault(made.key, []).append(made.note)
            yield made

    def finish(self, made: Stylized) -> Stylized:
        """A picture, or an error, with what all its stages came to."""
        note = "; ".join(self._notes.pop(made.key, []))
        evaluations, seconds = self._evaluations.pop(made.key), self._seconds.pop(made.key)
        return replace(made, evaluations=evaluations, note=note or None, seconds=seconds)

    def take_failed(self) -> Iterator[Stylized]:
        """What failed in a stage before the last, since this was asked last."""
        while self._failed:
            yield self._failed.pop()
