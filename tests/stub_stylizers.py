"""Stylizers for plumbing: what they do to a photograph is plain to see, and needs no network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from stylecore.images.codec import RgbImage
from stylecore.metrics.quality import QualityScores
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, Stylized

FAULTY_KEY = 2


@dataclass
class Invert:
    """Turns colors into their opposites, and remembers what it was given.

    Attributes:
        watch: of the shard that is worked on.
        stylized: keys of the photographs, over all uses.
        scored: how many pictures were measured.
        faults: how many more times to break down at the photograph with ``FAULTY_KEY``.
    """

    watch: Watch = field(default_factory=Watch)
    stylized: list[int] = field(default_factory=list)
    scored: int = 0
    faults: int = 0

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        for content in contents:
            self.watch.check_stop()
            if content.key == FAULTY_KEY and self.faults:
                self.faults -= 1
                raise RuntimeError("the device fell off the bus")
            self.stylized.append(content.key)
            self._show(content)
            yield Stylized(content.key, 255 - content.pixels, evaluations=5)

    def _show(self, content: Content) -> None:
        """Intermediate pictures that are the photograph, until the five evaluations are over."""
        if self.watch.save_every and self.watch.on_picture:
            for number in range(self.watch.save_every, 6, self.watch.save_every):
                self.watch.on_picture(content.key, number, content.pixels)

    def score(self, content: Content, picture: RgbImage) -> QualityScores:
        self.scored += 1
        distance = float(np.abs(content.pixels.astype(float) - picture).mean())
        return QualityScores(1.0, 2.0, 3.0, distance, 0.5, None)


def install_invert(monkeypatch: pytest.MonkeyPatch) -> Invert:
    """Let every job in this process be made by one ``Invert``."""
    invert = Invert()

    def build(
        _job: object, _styles: object, _inputs: object = None, watch: Watch | None = None
    ) -> Invert:
        invert.watch = watch or Watch()
        return invert

    monkeypatch.setattr("tasks.painting.build_stylizer", build)
    return invert
