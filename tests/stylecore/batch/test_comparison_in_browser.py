"""A person votes in a real browser, with keys and buttons, and saves what was voted."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_report_in_browser import BLUE, RED, area, plain_jpeg, screenshot
from websockets.sync.client import ClientConnection, connect

from stylecore.batch.comparison import BlindPair, ComparisonPage, render_comparison
from stylecore.batch.votes import parse_votes

pytestmark = pytest.mark.slow

START_TIMEOUT_S = 60
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


@dataclass
class Browser:
    """A tab of a headless browser, spoken to by the DevTools protocol."""

    connection: ClientConnection
    downloads: Path
    last: int = 0

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.last += 1
        request = {"id": self.last, "method": method, "params": parameters}
        self.connection.send(json.dumps(request))
        while True:
            answer: dict[str, Any] = json.loads(self.connection.recv(timeout=30))
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def evaluate(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        named = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, **named)

    def click(self, selector: str) -> None:
        """With the mouse, where the thing is."""
        x, y = self.evaluate(
            f"{{ const e = document.querySelector('{selector}'); e.scrollIntoView();"
            "const b = e.getBoundingClientRect(); [b.x + b.width / 2, b.y + b.height / 2] }"
        )
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", type=kind, **where)

    def is_ready(self) -> bool:
        """Whether our page is there, and its script ran: a tab starts with an empty one."""
        return bool(self.evaluate("!!document.getElementById('count')?.textContent"))

    def shown(self) -> list[str]:
        return list(
            self.evaluate(
                "[...document.querySelectorAll('.pair')].filter(p => p.offsetHeight > 0)"
                ".map(p => p.dataset.pair)"
            )
        )

    def saved(self) -> bytes:
        path = self.downloads / "votes.json"
        wait_until(path.exists)
        return path.read_bytes()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Four pairs, red on the left and blue on the right."""
    red, blue = plain_jpeg(RED), plain_jpeg(BLUE)
    pairs = [BlindPair(f"pair{n}", "wave", b"", b"", red, blue) for n in range(4)]
    path = tmp_path / "compare.html"
    comparison = ComparisonPage("0123", "/out/runs/a", "/out/runs/b", {}, [], pairs)
    path.write_text(render_comparison(comparison), encoding="utf-8")
    return path


@pytest.fixture
def browser(page: Path, tmp_path: Path) -> Iterator[Browser]:
    """Chromium is what `make test-all` installs first."""
    profile = tmp_path / "profile"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    with subprocess.Popen([*command, page.as_uri()], stderr=subprocess.DEVNULL) as process:
        try:
            port_file = profile / "DevToolsActivePort"
            wait_until(lambda: port_file.exists() and len(port_file.read_text().split()) == 2)
            address = tab_address(int(port_file.read_text().split()[0]))
            with connect(address, max_size=None, proxy=None) as connection:
                tab = Browser(connection, tmp_path / "downloads")
                tab.ask("Page.enable")
                folder = str(tab.downloads)
                tab.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
                wait_until(tab.is_ready)
                yield tab
        finally:
            process.terminate()


def tab_address(port: int) -> str:
    found: list[str] = []

    def look() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
            tabs = json.load(answer)
        found.extend(t["webSocketDebuggerUrl"] for t in tabs if t["url"].startswith("file:"))
        return bool(found)

    wait_until(look)
    return found[0]


def wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline, "the browser did not get there"
        time.sleep(0.05)


def test_votes_by_keys_and_buttons_are_saved_as_a_file_that_can_be_counted(
    browser: Browser,
) -> None:
    assert browser.shown() == ["pair0"]
    browser.press("ArrowLeft")
    assert browser.shown() == ["pair1"]
    browser.press("ArrowRight")
    browser.click("[data-choice=same]")
    assert browser.shown() == ["pair3"]
    assert browser.evaluate("count.textContent") == "pair 4, 3 of 4 voted"
    browser.click("#save")
    votes = parse_votes(browser.saved(), "votes.json")
    assert votes.comparison == "0123"
    assert [(v.pair, v.choice) for v in votes.votes] == [
        ("pair0", "left"),
        ("pair1", "right"),
        ("pair2", "same"),
    ]


def test_a_vote_can_be_changed_and_the_last_one_counts(browser: Browser) -> None:
    browser.press("ArrowLeft")
    browser.press("ArrowUp")
    assert browser.shown() == ["pair0"]
    pressed = "document.querySelector('[aria-pressed=true]').dataset.choice"
    assert browser.evaluate(pressed) == "left"
    browser.press("ArrowDown")
    browser.click("#save")
    votes = parse_votes(browser.saved(), "votes.json").votes
    assert [(v.pair, v.choice) for v in votes] == [("pair0", "same")]


def test_votes_survive_a_reload_and_after_the_last_pair_one_is_told_to_save(
    browser: Browser,
) -> None:
    for _ in range(2):
        browser.press("ArrowRight")
    browser.evaluate("document.body.dataset.isOld = 1")
    browser.ask("Page.reload")
    wait_until(lambda: browser.is_ready() and browser.evaluate("!document.body.dataset.isOld"))
    assert browser.shown() == ["pair2"]
    for _ in range(3):
        browser.press("ArrowLeft")
    assert browser.shown() == []
    assert "Save the votes" in browser.evaluate("document.getElementById('end').innerText")
    assert browser.evaluate("count.textContent") == "4 of 4 voted"


def test_no_other_script_runs_in_the_page(browser: Browser) -> None:
    browser.evaluate(
        "{ const s = document.createElement('script'); s.textContent = 'window.acted = 1';"
        "document.body.append(s); }"
    )
    assert browser.evaluate("typeof window.acted") == "undefined"


def test_the_two_pictures_of_one_pair_are_drawn_side_by_side_at_one_size(page: Path) -> None:
    pixels = screenshot(page)
    left, right = area(pixels[:, :600], RED), area(pixels[:, 600:], BLUE)
    assert left > 20_000
    assert right == pytest.approx(left, rel=0.02)
    assert area(pixels[:, 600:], RED) == area(pixels[:, :600], BLUE) == 0
