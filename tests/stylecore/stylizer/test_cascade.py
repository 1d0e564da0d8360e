"""Styles one after another, with stub stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stylecore.errors import NonFiniteError, RowError
from stylecore.images.codec import RgbImage
from stylecore.stylizer.cascade import CascadeStylizer
from stylecore.stylizer.protocol import Content, Stylized


class Add:
    """Adds a level to every pixel, in so many evaluations; or fails."""

    def __init__(self, level: int, error: RowError | None = None) -> None:
        self.level, self.error = level, error

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        for content in contents:
            pixels = None if self.error else content.pixels + np.uint8(self.level)
            yield Stylized(content.key, pixels, self.level, self.error, note=f"+{self.level}")

    def score(self, content: Content, picture: RgbImage) -> None:
        self.scored = (content.pixels, picture)


PHOTO = np.zeros((4, 5, 3), np.uint8)


def test_each_stage_works_on_the_picture_of_the_one_before() -> None:
    (made,) = CascadeStylizer([Add(2), Add(3)]).stylize([Content(7, PHOTO)])
    assert made.pixels is not None
    assert (made.key, made.evaluations, made.note) == (7, 5, "+2; +3")
    assert (made.pixels == 5).all()


def test_a_stage_that_fails_fails_the_picture_and_not_the_next_one() -> None:
    error = NonFiniteError("", "odd")
    first, second = CascadeStylizer([Add(1), Add(2, error)]), CascadeStylizer([Add(1), Add(2)])
    contents = [Content(0, PHOTO), Content(1, PHOTO)]
    assert [made.error for made in first.stylize(contents)] == [error, error]
    assert [made.error for made in second.stylize(contents)] == [None, None]


def test_the_last_stage_measures_against_the_photograph() -> None:
    last = Add(2)
    CascadeStylizer([Add(1), last]).score(Content(0, PHOTO), PHOTO + np.uint8(3))
    assert (last.scored[0] == 0).all()
