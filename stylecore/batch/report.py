"""The report of a run: one static page with totals, failures by reason and a contact sheet.

The page stands by itself: no script, no font, no picture from elsewhere; thumbnails are data URIs
and links are relative, so it opens from the bucket, from a download and from an e-mail alike.
Whatever came from a manifest is untrusted: the templates escape it, and ``show_text`` makes
control characters visible and long text short.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stylecore.printable import printable

MAX_PICTURES: Final = 200
MAX_FAILURES: Final = 100
MAX_PAGE_BYTES: Final = 5_000_000
MAX_TEXT_LENGTH: Final = 400

EXPLANATIONS: Final[Mapping[str, str]] = {
    "missing": "There is nothing at this address. Was it moved, or is the name misspelled?",
    "forbidden": "The storage refuses to hand it out. These credentials may not read it.",
    "not_allowed": "The address lies outside what this job may read. Widen that with --allow.",
    "bad_key": "The address is malformed, or has characters that some storages cannot keep.",
    "empty": "The file has no bytes. Its upload probably never finished.",
    "too_many_bytes": "The file is larger than this job accepts (limits.max_bytes).",
    "too_many_pixels": "The picture has more pixels than this job accepts (limits.max_pixels).",
    "not_an_image": "The file is something else under the name of a picture, such as a web page.",
    "unsupported_format": "It is a picture, but in a file format that is not read here.",
    "unsupported_mode": "It is a picture, but its kind of color is not read here.",
    "truncated": "The picture stops in the middle. Its upload or download was cut off.",
    "corrupt": "The picture is damaged and cannot be decoded.",
    "style_unknown": "The generator was not trained for the painting. Name one that it knows.",
    "mask_size": "The mask is not of the photograph's size. Make them the same size, in pixels.",
    "non_finite": "The calculation ran away to infinity. Lower weights or another start may help.",
    "crashed": "It ends any process that makes it: a fault in a decoder or driver. Convert it.",
    "storage_timeout": "The storage did not answer in time, several times over. Worth a retry.",
    "storage_error": "The storage failed, or the file changed while it was read. Worth a retry.",
    "out_of_memory": "The picture does not fit in memory, even alone. Try a smaller max_side_px.",
    "deadline": "The time allowed for one picture ran out (limits.picture_seconds).",
    "internal": "A fault of stylebatch itself. The log of the run has the details.",
}


@dataclass(frozen=True)
class Totals:
    """What came of a run; what is planned and none of the three is still to do.

    Seconds are wall-clock time.
    """

    planned: int
    made: int
    skipped: int
    failed: int
    duplicates: int
    seconds: float
    images_per_second: float | None

    @property
    def pending(self) -> int:
        """Pictures without an outcome: the run was interrupted, or is going on."""
        return self.planned - self.made - self.skipped - self.failed


@dataclass(frozen=True)
class FailureLine:
    """One row that could not be made, in the words of its outcome."""

    row_id: str
    style: str
    content_uri: str
    error_code: str
    error_message: str
    attempt: int


@dataclass(frozen=True)
class PictureCard:
    """One picture of the contact sheet.

    ``output_href`` is the picture's path relative to the report, not yet URL-quoted. Thumbnails
    are JPEG files; one without bytes could not be read again and leaves its place empty. Figures
    that are None are not shown.
    """

    row_id: str
    style: str
    output_href: str | None
    content_thumbnail: bytes
    style_thumbnail: bytes
    result_thumbnail: bytes
    figures: Mapping[str, float | None]


@dataclass(frozen=True)
class Report:
    """All that the page says. ``job`` holds the facts about the job, in the order to show them."""

    run_id: str
    run_uri: str
    title: str
    job: Mapping[str, str]
    totals: Totals
    failed_by_code: Mapping[str, int]
    failures: Sequence[FailureLine]
    pictures: Sequence[PictureCard]


def render_report(report: Report) -> str:
    """The page as HTML, at most 200 pictures, 100 failures and 5 MB of UTF-8.

    Pictures that do not fit are left out, and the page says how many; each text is shortened to
    400 characters.

    Raises:
        ValueError: a card's ``output_href`` leads outside the bucket.
    """
    num_pictures = max(len(report.pictures), report.totals.made + report.totals.skipped)
    room = MAX_PAGE_BYTES - _size(_render_page(report, [], num_left_out=num_pictures))
    cards = _cards_that_fit(report.pictures, room)
    return _render_page(report, cards, num_left_out=num_pictures - len(cards))


def show_text(value: object) -> object:
    """Text with control and other invisible characters made visible, at most 400 characters.

    The middle goes first, since a URI is told apart by its ends. Markup and numbers pass as they
    are, which makes this a Jinja2 ``finalize`` function.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    end = MAX_TEXT_LENGTH // 2
    short = value if len(value) <= MAX_TEXT_LENGTH else f"{value[: end - 1]}…{value[-end:]}"
    return printable(short)


def _render_page(report: Report, cards: Sequence[Markup], num_left_out: int) -> str:
    largest = max(report.failed_by_code.values(), default=0)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            totals=report.totals,
            failed_by_code=sorted(
                report.failed_by_code.items(), key=lambda item: (-item[1], item[0])
            ),
            largest=largest,
            explanations=EXPLANATIONS,
            failures=report.failures[:MAX_FAILURES],
            cards=cards,
            num_left_out=num_left_out,
        )
    )


def _cards_that_fit(pictures: Sequence[PictureCard], room: int) -> list[Markup]:
    template = _environment().get_template("report_card.html.j2")
    cards: list[Markup] = []
    for picture in pictures[:MAX_PICTURES]:
        card = Markup(template.render(picture=picture))  # noqa: S704  # the template escaped it
        if _size(card) <= room:
            cards.append(card)
            room -= _size(card)
    return cards


def _size(html: str) -> int:
    return len(html.encode())


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
    environment.filters |= {
        "jpeg_uri": _jpeg_uri,
        "relative_href": _relative_href,
        "figure": _figure,
        "duration": _duration,
        "rate": _rate,
    }
    return environment


def _jpeg_uri(data: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,{}").format(b64encode(data).decode())


def _relative_href(path: str) -> Markup:
    """Quoted, so that no character of a name can turn the path into another kind of URL."""
    if path.startswith("/"):
        raise ValueError(f"{path}: links of a report are relative to it")
    return Markup("{}").format(quote(path))


def _figure(value: float) -> str:
    """Three significant digits, and no exponent for large numbers."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _rate(images_per_second: float) -> str:
    if images_per_second >= 1:
        return f"{_figure(images_per_second)} images/s"
    return f"{_figure(images_per_second * 60)} images/min"
