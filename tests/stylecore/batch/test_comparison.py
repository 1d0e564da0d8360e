"""The page of a comparison: blind, bounded, and closed to whatever a manifest says."""

import base64
import hashlib
import re
from dataclasses import replace

from stylecore.batch.comparison import (
    MAX_PAGE_BYTES,
    MAX_PAIRS,
    BlindPair,
    ComparisonPage,
    MeasureRow,
    render_comparison,
)

SCRIPT = "<script>alert(1)</script>"
PAIR = BlindPair("abc", "wave", b"content", b"painting", b"left picture", b"right picture")
ROW = MeasureRow("swdL ↓", "Texture.", "8", "0.2", "0.1", "-0.1 (-0.2 to -0.05)", "0.5", "b")
PAGE = ComparisonPage(
    comparison="0123",
    run_a_uri="/out/runs/a",
    run_b_uri="/out/runs/b",
    facts={"A made by": "optimize"},
    measures=[ROW],
    pairs=[PAIR],
)


def data_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def test_both_pictures_are_shown_with_the_photograph_and_the_painting():
    page = render_comparison(PAGE)
    for data in (PAIR.left, PAIR.right, PAIR.content, PAIR.painting):
        assert page.count(data_uri(data)) == 1
    assert 'data-pair="abc"' in page
    assert 'data-comparison="0123"' in page


def test_a_source_that_could_not_be_read_leaves_no_broken_picture():
    page = render_comparison(replace(PAGE, pairs=[replace(PAIR, content=b"", painting=b"")]))
    assert page.count("<img") == 2


def test_measures_are_told_with_a_mark_at_the_better_run():
    page = render_comparison(PAGE)
    assert '<td class="">0.2</td><td class="better">0.1</td>' in page
    assert "-0.1 (-0.2 to -0.05)" in page


def test_a_pair_tells_nothing_but_its_id_and_its_style():
    (article,) = re.findall(r"<article.*?</article>", render_comparison(PAGE), re.DOTALL)
    words = re.sub(r"data:image/jpeg;base64,[\w+/=]*", "", article)
    assert "runs" not in words
    attributes = set(re.findall(r'([\w-]+)="', words))
    assert attributes == {"class", "data-pair", "src", "alt"}


def test_the_policy_allows_our_script_by_its_hash_and_nothing_else_to_run_or_load():
    page = render_comparison(PAGE)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }
    assert not re.findall(r'\son\w+="', page)


def test_whatever_a_manifest_or_a_person_wrote_is_escaped():
    page = ComparisonPage(
        comparison=SCRIPT,
        run_a_uri=f"/{SCRIPT}/runs/a",
        run_b_uri=f'/"{SCRIPT}/runs/b',
        facts={SCRIPT: SCRIPT},
        measures=[replace(ROW, label=f"ArtFD of {SCRIPT}", about=f'"{SCRIPT}')],
        pairs=[replace(PAIR, id=f'"{SCRIPT}', style=f'"{SCRIPT}\u202e')],
    )
    html = render_comparison(page)
    assert html.count("<script>") == 1
    assert SCRIPT not in html
    assert "\u202e" not in html


def test_at_most_60_pairs_are_shown_and_the_page_says_how_many_are_not():
    pairs = [replace(PAIR, id=f"{number:04d}") for number in range(MAX_PAIRS + 5)]
    page = render_comparison(replace(PAGE, pairs=pairs))
    assert page.count("<article") == MAX_PAIRS
    assert "5 more pairs are not on this page" in page


def test_a_page_never_takes_more_than_8_megabytes():
    large = replace(PAIR, left=bytes(10**6), right=bytes(10**6))
    page = render_comparison(replace(PAGE, pairs=[large] * 10))
    assert 0 < page.count("<article") < 10
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert f"{10 - page.count('<article')} more pairs" in page


def test_without_pairs_there_is_nothing_to_vote_on():
    page = render_comparison(replace(PAGE, pairs=[]))
    assert "no pair of pictures" in page
    assert "<button" not in page
