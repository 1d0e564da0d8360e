"""The report stands by itself, shows what happened, and gives a manifest no way to act in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest

from stylecore.batch.report import (
    EXPLANATIONS,
    MAX_FAILURES,
    MAX_PAGE_BYTES,
    MAX_PICTURES,
    FailureLine,
    PictureCard,
    Report,
    Totals,
    render_report,
)
from stylecore.errors import ImageReason, RowError

JPEG = b"\xff\xd8\xff\xe0 thumbnail \xff\xd9"
SCRIPT = "<script>alert(1)</script>"

TOTALS = Totals(
    planned=3, made=1, skipped=1, failed=1, duplicates=1, seconds=134.2, images_per_second=0.02
)
CARD = PictureCard(
    row_id="cat",
    style="great_wave",
    output_href="../../images/great_wave/cat-0123456789ab.jpg",
    content_thumbnail=JPEG,
    style_thumbnail=JPEG,
    result_thumbnail=JPEG,
    figures={"total_loss": 12.345, "psnr_content": None},
)
FAILURE = FailureLine(
    row_id="7",
    style="great_wave",
    content_uri="s3://photographs/7.jpg",
    error_code="missing",
    error_message="there is no such object",
    attempt=1,
)
REPORT = Report(
    run_id="3f9a1c07be52",
    run_uri="s3://pictures/out/runs/3f9a1c07be52",
    title="Photographs",
    job={"manifest": "s3://photographs/manifest.jsonl"},
    totals=TOTALS,
    failed_by_code={"missing": 1},
    failures=[FAILURE],
    pictures=[CARD],
)


class Page(HTMLParser):
    """Tags and attributes of a page, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] for name, found in self.tags if name == tag and attribute in found]

    def number_of(self, css_class: str) -> int:
        return sum(found.get("class") == css_class for _, found in self.tags)


def test_a_report_shows_totals_pace_failures_figures_and_the_job() -> None:
    text = " ".join(Page(render_report(REPORT)).text.split())
    for expected in (
        "3 pictures planned, done in 2 min 14 s, 1.2 images/min; 1 duplicate row was dropped.",
        "missing " + EXPLANATIONS["missing"],
        "there is no such object",
        "total loss 12.3",
        "manifest s3://photographs/manifest.jsonl",
    ):
        assert expected in text
    assert "psnr" not in text


def test_markup_from_a_manifest_stays_text_wherever_it_appears() -> None:
    hostile = f"\"'>{SCRIPT}"
    report = replace(
        REPORT,
        title=hostile,
        run_uri=hostile,
        job={hostile: hostile},
        failed_by_code={hostile: 1},
        failures=[replace(FAILURE, row_id=hostile, content_uri=hostile, error_message=hostile)],
        pictures=[replace(CARD, row_id=hostile, style=hostile, output_href=hostile)],
    )
    page = Page(render_report(report))
    assert "script" not in {tag for tag, _ in page.tags}
    assert SCRIPT in page.text
    assert not any(name.startswith("on") for _, found in page.tags for name in found)


def test_control_and_bidirectional_characters_are_shown_as_codes() -> None:
    html = render_report(replace(REPORT, title="a\x00b\x1b[31mc\u202egpj.exe\ud800\u2028"))
    assert "a\\u0000b\\u001b[31mc\\u202egpj.exe\\ud800\\u2028" in html
    assert not set("\x00\x1b\u202e\ud800\u2028") & set(html)


def test_long_text_loses_its_middle_and_keeps_its_ends() -> None:
    title = "start" + "x" * 10_000 + "end"
    heading = re.search("<h1>(.*)</h1>", render_report(replace(REPORT, title=title)))
    assert heading is not None
    assert re.fullmatch("startx+…x+end", heading[1])
    assert len(heading[1]) == 400


def test_the_policy_forbids_everything_but_inline_style_and_data_images() -> None:
    policy = Page(render_report(REPORT)).values("meta", "content")[0]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_a_report_loads_nothing_from_elsewhere_and_has_no_script() -> None:
    html = render_report(replace(REPORT, run_uri="out/runs/1", job={}, failures=[]))
    page = Page(html)
    assert not re.search(r"\w+://|url\(|@import|javascript:", html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all(src.startswith("data:image/jpeg;base64,") for src in page.values("img", "src"))


def test_every_thumbnail_has_a_text_in_its_place() -> None:
    page = Page(render_report(REPORT))
    assert page.values("img", "alt") == [
        "Photograph cat",
        "Painting great_wave",
        "Photograph cat in the style of great_wave",
    ]


def test_a_thumbnail_without_bytes_leaves_its_place_empty() -> None:
    page = Page(render_report(replace(REPORT, pictures=[replace(CARD, content_thumbnail=b"")])))
    assert len(page.values("img", "src")) == 2
    assert "not available" in page.text


def test_links_are_relative_and_quoted() -> None:
    odd = replace(CARD, output_href="../../images/a b/50%#?.jpg")
    links = Page(render_report(replace(REPORT, pictures=[CARD, odd]))).values("a", "href")
    assert links[0] == CARD.output_href
    assert links[1] == "../../images/a%20b/50%25%23%3F.jpg"
    assert not any(re.match(r"/|[a-z]+:", link) for link in links)


def test_a_link_cannot_name_a_scheme_or_a_host() -> None:
    script = replace(CARD, output_href="javascript:alert(1)")
    links = Page(render_report(replace(REPORT, pictures=[script]))).values("a", "href")
    assert links[0] == "javascript%3Aalert%281%29"
    with pytest.raises(ValueError, match="relative"):
        render_report(replace(REPORT, pictures=[replace(CARD, output_href="//elsewhere/x.jpg")]))


def test_a_picture_without_a_file_has_no_link() -> None:
    page = Page(render_report(replace(REPORT, pictures=[replace(CARD, output_href=None)])))
    assert not any("images/great_wave" in link for link in page.values("a", "href"))


def test_at_most_two_hundred_pictures_are_shown_and_the_rest_is_counted() -> None:
    totals = replace(TOTALS, planned=1_000_001, made=1_000_000, skipped=0)
    report = replace(REPORT, totals=totals, pictures=[CARD] * (MAX_PICTURES + 1))
    page = Page(render_report(report))
    assert page.number_of("card") == MAX_PICTURES
    assert "999,800 more pictures are not shown" in page.text


def test_a_page_stays_below_five_megabytes_and_one_huge_picture_hides_no_other() -> None:
    huge = replace(CARD, result_thumbnail=bytes(MAX_PAGE_BYTES))
    large = replace(CARD, result_thumbnail=bytes(90_000))
    failures = [replace(FAILURE, error_message='"' * 10_000)] * 200
    html = render_report(replace(REPORT, pictures=[huge] + [large] * 150, failures=failures))
    shown = Page(html).number_of("card")
    assert 0.95 * MAX_PAGE_BYTES < len(html.encode()) <= MAX_PAGE_BYTES
    assert f"{151 - shown} more pictures are not shown" in html


def test_only_the_first_hundred_failures_are_listed() -> None:
    failures = [replace(FAILURE, row_id=f"row{n}") for n in range(150)]
    report = replace(REPORT, totals=replace(TOTALS, failed=150), failures=failures)
    html = render_report(report)
    assert f"The first {MAX_FAILURES} of 150." in html
    assert "row99<" in html
    assert "row100<" not in html


def test_reasons_are_listed_from_the_most_frequent_to_the_rarest() -> None:
    html = render_report(replace(REPORT, failed_by_code={"empty": 2, "missing": 8, "corrupt": 2}))
    assert re.findall("<p><code>([a-z]+)</code>", html) == ["missing", "corrupt", "empty"]
    assert re.findall('"width: ([0-9.]+)%', html) == ["100.0", "25.0", "25.0"]


def test_every_error_code_is_explained() -> None:
    codes = {error.code for error in _subclasses(RowError) if "code" in vars(error)}
    assert set(EXPLANATIONS) == codes | set(get_args(ImageReason))


def test_an_empty_run_says_that_there_was_nothing_to_make() -> None:
    totals = Totals(0, 0, 0, 0, 0, seconds=0.2, images_per_second=None)
    report = replace(REPORT, totals=totals, failed_by_code={}, failures=[], pictures=[])
    text = Page(render_report(report)).text
    assert "there was nothing to make" in text
    assert "Contact sheet" not in text
    assert "Failed rows" not in text


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render_report(REPORT) == render_report(REPORT)


def _subclasses(error: type[RowError]) -> set[type[RowError]]:
    children = set(error.__subclasses__())
    return children.union(*map(_subclasses, children))


def test_an_unfinished_run_says_how_much_is_still_to_do() -> None:
    totals = Totals(10, 3, 1, 1, 0, seconds=60, images_per_second=0.05)
    text = Page(render_report(replace(REPORT, totals=totals))).text
    assert "still to do" in text
    assert "still to do" not in Page(render_report(REPORT)).text
