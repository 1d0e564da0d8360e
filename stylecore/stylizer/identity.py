"""The method that only copies; it needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stylecore.optimize.watch import Watch
from stylecore.stylizer.protocol import Content, Stylized

if TYPE_CHECKING:
    from stylecore.images.codec import RgbImage


class IdentityStylizer:
    """Copies: a rehearsal of everything but the style.

    Args:
        watch: its stop flag is asked before each picture.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``, in order."""
        for content in contents:
            self._watch.check_stop()
            yield Stylized(content.key, content.pixels)

    def score(self, content: Content, picture: RgbImage) -> None:
        """A copy has no quality to measure."""
