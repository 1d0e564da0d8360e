"""Pages of a run whose manifest and paintings mean harm, in a real browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import TIMEOUT_MS
from local_jobs import LocalBucket
from playwright.sync_api import Browser, Page
from reliability import See
from sample_images import make_photographs

from stylecore.batch.comparison import (
    BlindPair,
    ComparisonPage,
    MeasureRow,
    render_comparison,
)
from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.publish import summary_markdown
from tasks.reporting import close_ledger
from tasks.shard_work import ShardRequest, work_through_shard

pytestmark = [pytest.mark.slow, pytest.mark.reliability]

ACT = "window.acted = 1; alert(1)"


def hostile_texts(bait: str) -> list[str]:
    """What a manifest could bring to have a page do something."""
    return [
        f"<script>{ACT}</script>",
        f"\"'><img src=x onerror='{ACT}'>",
        f"</title><script>{ACT}</script>",
        f"</style></script><svg onload='{ACT}'>",
        f"<img src='{bait}/img'>",
        f"<link rel=stylesheet href='{bait}/css'><meta http-equiv=refresh content='0;{bait}/go'>",
        f"<base href='{bait}/'><iframe src='{bait}/frame'></iframe>",
        f"javascript:{ACT}",
        f"![x]({bait}/markdown)",
        f"[x](javascript:{ACT})",
        f"{{{{ 7 * 191 }}}}{{% raw %}}<!--[if IE]>{ACT}<![endif]-->",
        "photo\u202egpj.exe\u2066\x1b[31m",
        f"' onmouseover='{ACT}' x='",
        f'" style="background:url({bait}/style)" x="',
    ]


@contextmanager
def run_bait() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody may ask, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def make_hostile_run(bucket: LocalBucket, texts: list[str]) -> RunLedger:
    """Good and bad rows, each with a text as its id, in an extra column, and as its address."""
    bucket.fill(1)
    (data,) = make_photographs(1).values()
    rows: list[dict[str, Any]] = []
    for number, text in enumerate(texts):
        name = f"{number} {text}".replace("/", "").replace("\x1b", "")
        (bucket.photographs / f"{name}.jpg").write_bytes(data)
        extra = dict.fromkeys(texts, text)
        rows.append({"id": text, "content_uri": f"{name}.jpg", **extra})
        rows.append({"id": f"bad {text}", "content_uri": text, **extra})
    manifest = bucket.manifest(*rows)
    run = prepare_run(Store(), bucket.job(manifest_uri=str(manifest), method="identity"))
    for number in run.pending_shards():
        work_through_shard(run, ShardRequest(run.run_uri, number, run.run_id))
    return run


def open_watched(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    """Open a page; what it asks for and says, other than itself, is noted."""
    noted: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    own = path.as_uri()
    page.on("request", lambda one: noted.append(one.url) if is_foreign(one.url, own) else None)
    page.on("dialog", lambda dialog: (noted.append(dialog.message), dialog.dismiss()))
    page.goto(own)
    return page, noted


def is_foreign(url: str, own: str) -> bool:
    return url != own and not url.startswith("data:")


def check_page(page: Page, noted: list[str], asked: list[str]) -> None:
    for element in page.locator("article, li, td, h1, p").all()[:300]:
        element.dispatch_event("mouseover")
    page.wait_for_timeout(500)
    assert page.evaluate("typeof window.acted") == "undefined"
    assert noted == []
    assert asked == []
    assert page.locator("img:not([src^='data:']), iframe, object, embed, base, link").count() == 0
    addresses = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert {address.partition(":")[0] for address in addresses} <= {"file"}


def test_a_row_called_script_does_nothing_in_a_browser(
    bucket: LocalBucket, browser: Browser, seen: See
) -> None:
    with run_bait() as (bait, asked):
        texts = hostile_texts(bait)
        run = make_hostile_run(bucket, texts)
        closing = close_ledger(run, 1.0)
        assert (closing.summary.made, closing.summary.failed) == (len(texts), len(texts))
        page, noted = open_watched(browser, Path(run.run_uri) / "report.html")
        check_page(page, noted, asked)
        shown = page.inner_text("main")
        assert f"<script>{ACT}</script>" in shown, "as text"
        assert "photo\\u202egpj.exe" in shown
        assert page.evaluate("document.title").endswith("stylebatch")
    links = page.locator("a").count()
    assert links >= len(texts)
    seen(
        f"{2 * len(texts)} rows with ids, columns, file names and addresses that are HTML, script, "
        "Markdown, templates or invisible characters",
        "report.html shows them as text; nothing runs, nothing is fetched",
        f"0 requests, 0 dialogs, {links} links, all beside the page",
    )


def test_no_script_runs_in_the_report_even_if_one_got_in(
    bucket: LocalBucket, browser: Browser, seen: See
) -> None:
    with run_bait() as (bait, asked):
        run = make_hostile_run(bucket, ["one"])
        close_ledger(run, 1.0)
        path = Path(run.run_uri) / "report.html"
        harm = f"<script>{ACT}</script><img src='{bait}/img' onerror='{ACT}'>"
        path.write_text(path.read_text("utf-8").replace("</body>", f"{harm}</body>"), "utf-8")
        page, noted = open_watched(browser, path)
        page.wait_for_timeout(500)
        assert page.evaluate("typeof window.acted") == "undefined"
        assert asked == []
        assert not [one for one in noted if one == "1"], "no dialog"
    seen(
        "a script and a foreign picture were written into report.html itself",
        "its content security policy lets neither run nor load",
        f"{len(asked)} requests",
    )


def test_the_page_to_vote_on_is_as_harmless(tmp_path: Path, browser: Browser, seen: See) -> None:
    with run_bait() as (bait, asked):
        texts = hostile_texts(bait)
        (data,) = make_photographs(1).values()
        pairs = [BlindPair(text, text, data, data, data, data) for text in texts]
        rows = [MeasureRow(*([text] * len(MeasureRow.__dataclass_fields__))) for text in texts]
        facts = {text: text for text in texts}
        path = tmp_path / "compare.html"
        comparison = ComparisonPage(texts[1], texts[0], texts[2], facts, rows, pairs)
        path.write_text(render_comparison(comparison), encoding="utf-8")
        page, noted = open_watched(browser, path)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowRight")
        check_page(page, noted, asked)
        assert f"2 of {len(texts)} voted" in page.inner_text("#count"), "its own script does run"
    seen(
        f"the page of `compare` with {len(texts)} such styles, runs and facts",
        "shown as text; only the page's own script runs",
        "0 requests, 0 dialogs",
    )


def test_the_summary_names_no_address_of_a_manifest_for_a_browser(
    bucket: LocalBucket, seen: See
) -> None:
    with run_bait() as (bait, _):
        texts = hostile_texts(bait)
        run = make_hostile_run(bucket, texts)
        markdown = summary_markdown(run, close_ledger(run, 1.0))
    outside = re.sub(r"(`+).*?\1", "", markdown)
    assert bait in markdown, "as text"
    for active in (bait, "](java", "<", "](http"):
        assert active not in outside
    seen(
        "the same rows in the dashboard's summary, which is Markdown",
        "each text is a code span, which Markdown does not act on",
        f"{len(texts)} texts, 0 addresses",
    )
