"""A generator with the optimizer behind it: what it makes is where the optimizer starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from stylecore.stylizer.protocol import Content, Stylized, Stylizer

if TYPE_CHECKING:
    from stylecore.images.codec import RgbImage
    from stylecore.metrics.quality import QualityScores


class PolishedStylizer:
    """Optimizes each picture of a generator on.

    Args:
        generator: makes the pictures to start from.
        optimizer: goes on with them.
    """

    def __init__(self, generator: Stylizer, optimizer: Stylizer) -> None:
        self._generator = generator
        self._optimizer = optimizer

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``; what the generator cannot make is not optimized."""
        given: dict[int, Content] = {}
        failed: list[Stylized] = []

        def noted() -> Iterator[Content]:
            for content in contents:
                given[content.key] = content
                yield content

        def starts() -> Iterator[Content]:
            for made in self._generator.stylize(noted()):
                content = given.pop(made.key)
                if made.pixels is None:
                    failed.append(made)
                else:
                    yield replace(content, start=made.pixels)

        for made in self._optimizer.stylize(starts()):
            yield made
            while failed:
                yield failed.pop()
        yield from failed

    def score(self, content: Content, picture: RgbImage) -> QualityScores | None:
        """As ``Stylizer.score``, by the optimizer's objective."""
        return self._optimizer.score(content, picture)
