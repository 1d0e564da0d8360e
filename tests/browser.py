"""A headless browser for tests: the system's Chromium, which `make test-all` installs first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

TIMEOUT_MS = 60_000
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start it, and end it. While it is open, its thread counts as one with an event loop."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("there is no chromium; `make browser` installs it")
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield browser
        browser.close()
