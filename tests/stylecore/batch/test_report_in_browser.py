"""The report as a browser draws it: the policy lets the pictures through, in light and dark."""

import io
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ViewportSize

from stylecore.batch.report import PictureCard, Report, Totals, render_report

pytestmark = pytest.mark.slow

RED, GREEN, BLUE = (230, 20, 20), (20, 200, 20), (20, 20, 230)
DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report whose photograph is red, painting green and result blue."""
    card = PictureCard(
        row_id="row",
        style="style",
        output_href="../../images/style/row.jpg",
        content_thumbnail=plain_jpeg(RED),
        style_thumbnail=plain_jpeg(GREEN),
        result_thumbnail=plain_jpeg(BLUE),
        figures={"seconds": 1.0},
    )
    totals = Totals(1, 1, 0, 0, 0, seconds=1.0, images_per_second=1.0)
    report = Report("run", "out/runs/run", "Title", {}, totals, {}, [], [card])
    path = tmp_path / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    return path


def test_photograph_painting_and_result_are_drawn_and_the_result_is_largest(
    browser: Browser, page: Path
) -> None:
    pixels = screenshot(browser, page)
    content, style, result = (area(pixels, color) for color in (RED, GREEN, BLUE))
    assert content > 1000
    assert style > 1000
    assert result > 1.9 * (content + style)


def test_paper_is_light_by_default_and_dark_where_that_is_preferred(
    browser: Browser, page: Path
) -> None:
    assert screenshot(browser, page)[0, 0].min() > 240
    assert screenshot(browser, page, color_scheme="dark")[0, 0].max() < 40


def test_a_card_fills_a_narrow_screen_without_being_cut_off(browser: Browser, page: Path) -> None:
    pixels = screenshot(browser, page, width_px=500)
    _, columns = np.nonzero(is_color(pixels, BLUE))
    assert 0.55 * 500 < np.ptp(columns) < 0.7 * 500
    assert columns.max() < 490


def screenshot(
    browser: Browser,
    path: Path,
    *,
    width_px: int = 1200,
    color_scheme: Literal["light", "dark"] = "light",
) -> np.ndarray:
    """What a window shows of a page, shape (h, w, 3)."""
    size: ViewportSize = {"width": width_px, "height": 900}
    page = browser.new_page(viewport=size, color_scheme=color_scheme)
    page.goto(path.as_uri())
    with Image.open(io.BytesIO(page.screenshot())) as image:
        pixels = np.asarray(image.convert("RGB"))
    page.close()
    return pixels


def is_color(pixels: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    mask: np.ndarray = np.all(np.abs(pixels.astype(int) - color) < 25, axis=-1)
    return mask


def area(pixels: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(is_color(pixels, color).sum())


def plain_jpeg(color: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (96, 64), color).save(data, "JPEG", quality=95)
    return data.getvalue()
