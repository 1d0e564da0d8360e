"""The dashboard of a local stack, as a person clicks through it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from browser import TIMEOUT_MS
from playwright.sync_api import Browser, Locator, Page, expect

PROGRESS = re.compile(
    r"(\d+)/(\d+): made (\d+), skipped \d+, failed (\d+); [\d.]+ images/s; time left [\w ]+"
)
_SIZE_PX = 1280, 960


@dataclass
class Dashboard:
    """One tab. Screenshots are kept where a person asked for them."""

    page: Page
    url: str
    screenshots: Path | None

    @classmethod
    def open(cls, browser: Browser, url: str, auth: str, screenshots: Path | None) -> Dashboard:
        """The first page, after what it asks for was given."""
        width, height = _SIZE_PX
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(url)
        page.get_by_placeholder("admin:pass").fill(auth)
        page.get_by_role("button", name="Login").click()
        page.wait_for_url("**/dashboard**")
        return cls(page, url, screenshots)

    def keep(self, name: str) -> None:
        """Keep a picture of what is on the screen, once it stopped moving."""
        if self.screenshots is not None:
            self.screenshots.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(2_000)  # charts are drawn bit by bit
            self.page.screenshot(path=self.screenshots / f"{name}.png")

    def show(self, section: str) -> None:
        """Choose a section in the menu at the left."""
        self.page.get_by_role("link", name=section, exact=True).click()

    def show_run(self, name: str, state: str, timeout_s: float) -> None:
        """Find a run in the list of runs, and choose it."""
        self.show("Runs")
        found = self.page.get_by_role("listitem").filter(has_text=name).filter(has_text=state)
        expect(found.first).to_be_visible(timeout=1000 * timeout_s)
        self.keep("runs")
        found.first.get_by_role("link", name=name).first.click()
        # The address changes first; a tab of this name is on the page of a run alone.
        expect(self.page.get_by_role("tab", name="Artifacts")).to_be_visible()

    def tab(self, name: str) -> None:
        """Choose a tab of the page."""
        self.page.get_by_role("tab", name=name).click()

    def state(self, name: str, timeout_s: float) -> None:
        """Wait until the run on the screen is in a state, without loading the page again."""
        expect(self.page.get_by_role("main").get_by_text(name, exact=True).first).to_be_visible(
            timeout=1000 * timeout_s
        )

    def show_artifact(self, kind: str) -> None:
        """Choose an artifact of the run that is on the screen."""
        self.tab("Artifacts")
        self.page.get_by_role("link").filter(has_text=f"{kind}-").first.click()
        self.page.wait_for_url("**/artifacts/**")

    def cancel(self) -> None:
        """Cancel the run that is on the screen."""
        self.page.get_by_role("button", name="Open menu").click()
        self.page.get_by_role("menuitem", name="Cancel").click()
        question = self.page.get_by_role("dialog").or_(self.page.get_by_role("alertdialog"))
        self.keep("cancel")
        question.get_by_role("button", name="Cancel Flow Run").click()

    def text(self) -> str:
        """All that can be read."""
        return self.page.get_by_role("main").inner_text()

    def wait(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        """Wait while the page does what it does."""
        for _ in range(int(4 * timeout_s)):
            if is_so():
                return
            self.page.wait_for_timeout(250)
        raise AssertionError(f"still not so after {timeout_s:g} s:\n{self.text()[-1500:]}")


def is_drawn(image: Locator) -> bool:
    """Whether an image has pixels, and not only a place."""
    return bool(image.evaluate("image => image.complete && image.naturalWidth > 0"))
