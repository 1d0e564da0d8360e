"""The page of a comparison: measures of two runs, and pairs of pictures to vote on blindly.

Like the report it stands by itself. Its one script is our own and named by its hash in the page's
policy, so that nothing from a manifest can act; it keeps votes in the browser and saves them as a
file. Nothing in the page tells which side shows which run.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stylecore.batch.report import show_text

MAX_PAIRS: Final = 60
MAX_PAGE_BYTES: Final = 8_000_000
_TEMPLATE: Final = "comparison.html.j2"


@dataclass(frozen=True)
class BlindPair:
    """Two pictures of one photograph in one style, as JPEG files, sides already drawn.

    ``content`` and ``painting`` are small, and without bytes where they could not be read.
    """

    id: str
    style: str
    content: bytes
    painting: bytes
    left: bytes
    right: bytes


@dataclass(frozen=True)
class MeasureRow:
    """One measure in words: its name and meaning, both runs, difference and ratio.

    ``verdict`` is ``a``, ``b`` or ``same``: which run is better, where the interval of the
    difference leaves out zero.
    """

    label: str
    about: str
    pairs: str
    a: str
    b: str
    difference: str
    ratio: str
    verdict: str


@dataclass(frozen=True)
class ComparisonPage:
    """All that the page says. ``facts`` are about the two runs, in the order to show them."""

    comparison: str
    run_a_uri: str
    run_b_uri: str
    facts: Mapping[str, str]
    measures: Sequence[MeasureRow]
    pairs: Sequence[BlindPair]


def render_comparison(page: ComparisonPage) -> str:
    """The page as HTML, at most 60 pairs and 8 MB of UTF-8; further pairs are left out.

    Whatever came from a manifest is escaped, and each text is shortened to 400 characters.
    """
    room = MAX_PAGE_BYTES - _size(_render(page, [], 0))
    template = _environment().get_template("comparison_pair.html.j2")
    figures: list[Markup] = []
    for pair in page.pairs[:MAX_PAIRS]:
        figure = Markup(template.render(pair=pair))  # noqa: S704  # the template escaped it
        if _size(figure) <= room:
            figures.append(figure)
            room -= _size(figure)
    return _render(page, figures, len(page.pairs) - len(figures))


def _render(page: ComparisonPage, figures: Sequence[Markup], num_left_out: int) -> str:
    script = _script()
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            page=page,
            figures=figures,
            num_left_out=num_left_out,
            script=Markup(script),  # noqa: S704  # our own file
            script_hash=digest,
        )
    )


@cache
def _script() -> str:
    return files("stylecore.batch").joinpath("comparison.js").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stylecore.batch", "."),
        autoescape=True,
        finalize=show_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["jpeg_uri"] = _jpeg_uri
    return environment


def _jpeg_uri(data: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,{}").format(b64encode(data).decode())


def _size(html: str) -> int:
    return len(html.encode())
