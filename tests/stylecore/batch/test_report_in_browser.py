"""The report as a browser draws it: the policy lets the pictures through, in light and dark."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_photograph_painting_and_result_are_drawn_and_the_result_is_largest(page: Path) -> None:
    pixels = screenshot(page)
    content, style, result = (area(pixels, color) for color in (RED, GREEN, BLUE))
    assert content > 1000
    assert style > 1000
    assert result > 1.9 * (content + style)


def test_paper_is_light_by_default_and_dark_where_that_is_preferred(page: Path) -> None:
    assert screenshot(page)[0, 0].min() > 240
    assert screenshot(page, DARK)[0, 0].max() < 40


def test_a_card_fills_a_narrow_screen_without_being_cut_off(page: Path) -> None:
    pixels = screenshot(page, "--window-size=500,900")
    _, columns = np.nonzero(is_color(pixels, BLUE))
    assert 0.55 * 500 < np.ptp(columns) < 0.7 * 500
    assert columns.max() < 490


def screenshot(page: Path, option: str = "--window-size=1200,900") -> np.ndarray:
    """The page's pixels, shape (h, w, 3). Chromium is what `make test-all` installs first."""
    picture = page.with_suffix(".png")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--disable-dev-shm-usage", f"--user-data-dir={page.parent / 'profile'}", option]
    command += [f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return np.asarray(Image.open(picture).convert("RGB"))


def is_color(pixels: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    mask: np.ndarray = np.all(np.abs(pixels.astype(int) - color) < 25, axis=-1)
    return mask


def area(pixels: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(is_color(pixels, color).sum())


def plain_jpeg(color: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (96, 64), color).save(data, "JPEG", quality=95)
    return data.getvalue()
