"""A person votes in a real browser, with keys and buttons, and saves what was voted."""

from pathlib import Path

import pytest
from browser import TIMEOUT_MS
from playwright.sync_api import Browser, Page, expect
from test_report_in_browser import BLUE, RED, area, plain_jpeg, screenshot

from stylecore.batch.comparison import BlindPair, ComparisonPage, render_comparison
from stylecore.batch.votes import VoteFile, parse_votes

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four pairs, red on the left and blue on the right."""
    red, blue = plain_jpeg(RED), plain_jpeg(BLUE)
    pairs = [BlindPair(f"pair{n}", "wave", b"", b"", red, blue) for n in range(4)]
    path = tmp_path / "compare.html"
    comparison = ComparisonPage("0123", "/out/runs/a", "/out/runs/b", {}, [], pairs)
    path.write_text(render_comparison(comparison), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, path: Path) -> Page:
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(path.as_uri())
    return page


def shown(page: Page) -> list[str | None]:
    pairs = page.locator(".pair").filter(visible=True)
    return [pair.get_attribute("data-pair") for pair in pairs.all()]


def save(page: Page, tmp_path: Path) -> VoteFile:
    with page.expect_download() as saving:
        page.click("#save")
    saving.value.save_as(tmp_path / "votes.json")
    return parse_votes((tmp_path / "votes.json").read_bytes(), "votes.json")


def test_votes_by_keys_and_buttons_are_saved_as_a_file_that_can_be_counted(
    page: Page, tmp_path: Path
) -> None:
    assert shown(page) == ["pair0"]
    page.keyboard.press("ArrowLeft")
    assert shown(page) == ["pair1"]
    page.keyboard.press("ArrowRight")
    page.click("[data-choice=same]:visible")
    assert shown(page) == ["pair3"]
    expect(page.locator("#count")).to_have_text("pair 4, 3 of 4 voted")
    votes = save(page, tmp_path)
    assert votes.comparison == "0123"
    assert [(v.pair, v.choice) for v in votes.votes] == [
        ("pair0", "left"),
        ("pair1", "right"),
        ("pair2", "same"),
    ]


def test_a_vote_can_be_changed_and_the_last_one_counts(page: Page, tmp_path: Path) -> None:
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert shown(page) == ["pair0"]
    expect(page.locator("[aria-pressed=true]")).to_have_attribute("data-choice", "left")
    page.keyboard.press("ArrowDown")
    votes = save(page, tmp_path).votes
    assert [(v.pair, v.choice) for v in votes] == [("pair0", "same")]


def test_votes_survive_a_reload_and_after_the_last_pair_one_is_told_to_save(page: Page) -> None:
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.reload()
    assert shown(page) == ["pair2"]
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert shown(page) == []
    expect(page.locator("#end")).to_contain_text("Save the votes")
    expect(page.locator("#count")).to_have_text("4 of 4 voted")


def test_no_other_script_runs_in_the_page(page: Page) -> None:
    page.evaluate(
        "{ const s = document.createElement('script'); s.textContent = 'window.acted = 1';"
        "document.body.append(s); }"
    )
    assert page.evaluate("typeof window.acted") == "undefined"


def test_the_two_pictures_of_one_pair_are_drawn_side_by_side_at_one_size(
    browser: Browser, path: Path
) -> None:
    pixels = screenshot(browser, path)
    left, right = area(pixels[:, :600], RED), area(pixels[:, 600:], BLUE)
    assert left > 20_000
    assert right == pytest.approx(left, rel=0.02)
    assert area(pixels[:, 600:], RED) == area(pixels[:, :600], BLUE) == 0
