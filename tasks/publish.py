"""What the dashboard shows of a run: a progress bar with its numbers, shards, and a summary."""

from __future__ import annotations

import base64
import time
from typing import Any, Final

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.logging import get_run_logger

from stylecore.batch.ledger import RunLedger
from stylecore.batch.report import EXPLANATIONS, PictureCard
from stylecore.batch.store import LINK_DAYS, Store
from tasks.closing import Summary
from tasks.markdown import plain
from tasks.progress import BOARD, Tally
from tasks.reporting import Closing
from tasks.server_calls import ProgressBar, shown_if_possible

_LOG_EVERY_S: Final = (
    60.0  # where no row is done: a night of slow pictures is not thousands of lines
)
_PUBLISH_EVERY_S: Final = 4.0  # and whoever publishes does so every five seconds
_MARKDOWN_BYTES: Final = 90_000
_SHARDS_SHOWN: Final = 500


class ProgressPublisher:
    """Keeps a progress artifact up to date, at most every four seconds.

    Args:
        ledger: the run.
        todo: rows that are to be done.
        part: of the run, where this is the progress of a part.
    """

    def __init__(self, ledger: RunLedger, todo: int, part: str = "") -> None:
        self._ledger = ledger
        self._todo = todo
        self._started = time.monotonic()
        self._published = self._logged_at = self._started
        self._logged = 0  # rows done that the log has told of
        self._bar = ProgressBar(f"progress-{ledger.run_id}{part}")
        BOARD.forget(ledger.run_uri)
        self._bar.show(0.0, self.text(Tally()))

    def publish(self, *, is_last: bool = False, note: str = "") -> None:
        """Show how far the run is, and a note, unless that was just done."""
        if time.monotonic() - self._published < _PUBLISH_EVERY_S and not is_last:
            return
        self._published = time.monotonic()
        tally, _ = BOARD.read(self._ledger.run_uri)
        text = "; ".join(filter(None, (self.text(tally), note)))
        percent = 100.0 * tally.done / self._todo if self._todo else 100.0
        self._bar.show(percent, text)
        has_news = tally.done != self._logged or self._published - self._logged_at > _LOG_EVERY_S
        if has_news or is_last:
            self._logged, self._logged_at = tally.done, self._published
            get_run_logger().info(text)

    def text(self, tally: Tally) -> str:
        """n/N, failed, skipped, images per second and time left, in one line."""
        seconds = time.monotonic() - self._started
        rate = tally.done / seconds if seconds > 0 else 0.0
        left = (self._todo - tally.done) / rate if rate else None
        return (
            f"{tally.done}/{self._todo}: made {tally.made}, skipped {tally.skipped}, "
            f"failed {tally.failed}; {rate:.2f} images/s; time left {duration(left)}"
        )


def duration(seconds: float | None) -> str:
    """A time span as people say it."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def publish_summary(ledger: RunLedger, closing: Closing, note: str = "") -> None:
    """Totals with thumbnails under a note, if there is one; a table of shards; the report.

    A server that is away costs the run nothing but these.
    """
    with shown_if_possible("the summary"):
        _publish_summary(ledger, closing, note)


def _publish_summary(ledger: RunLedger, closing: Closing, note: str) -> None:
    create_markdown_artifact(
        key=f"summary-{ledger.run_id}",
        markdown=summary_markdown(ledger, closing, note),
        description=closing.summary.line(),
    )
    create_table_artifact(
        key=f"shards-{ledger.run_id}", table=shard_table(ledger), description="Shards of the run"
    )
    report_uri = ledger.uri("report.html")
    link = ledger.store.web_link(report_uri)
    if link is not None:
        about = f"Opens {report_uri} for {LINK_DAYS} days."
        create_link_artifact(link, "report.html", key=f"report-{ledger.run_id}", description=about)


def report_line(store: Store, report_uri: str) -> str:
    """Where a report is, and a link for a browser if it can get there, as Markdown."""
    link = store.web_link(report_uri)
    return plain(report_uri) + (f", [open it]({link}) within {LINK_DAYS} days" if link else "")


def shard_table(ledger: RunLedger) -> list[dict[str, Any]]:
    """Style, size and state of every shard."""
    record, done = ledger.record, ledger.result_files()
    return [
        {
            "shard": f"{number:05d}",
            "style": record.styles[shard.style_index].name,
            "pictures": shard.rows,
            "state": "done" if number in done else "to do",
            "retries": max(0, len(done.get(number, [])) - 1),
        }
        for number, shard in enumerate(record.shards[:_SHARDS_SHOWN])
    ]


def summary_markdown(ledger: RunLedger, closing: Closing, note: str = "") -> str:
    """The summary as Markdown of less than 100 KB, thumbnails as data URIs."""
    text = "\n".join(_facts(ledger, closing.summary, note))
    paintings: dict[str, bytes] = {}
    for card in closing.pictures:
        is_new = paintings.get(card.style) != card.style_thumbnail
        paintings[card.style] = card.style_thumbnail
        line = _picture_line(card, shows_painting=is_new)
        if len(text) + len(line) > _MARKDOWN_BYTES:
            break
        text += line
    return text


def _facts(ledger: RunLedger, summary: Summary, note: str) -> list[str]:
    lines = [
        f"# {summary.line()}",
        "",
        *([note, ""] if note else []),
        f"{summary.planned} planned, {summary.duplicates} duplicates dropped, "
        f"{duration(summary.seconds)}, {summary.images_per_second:.3f} images/s.",
        "",
        f"Report: {report_line(ledger.store, ledger.uri('report.html'))}",
        "",
    ]
    if summary.failed_by_code:
        lines += ["| failed with | rows | which means |", "|---|---|---|"]
        lines += [
            f"| `{code}` | {count} | {EXPLANATIONS.get(code, '')} |"
            for code, count in summary.failed_by_code.items()
        ]
        lines.append("")
    return [*lines, "| content | style | result | row |", "|---|---|---|---|", ""]


def _picture_line(card: PictureCard, *, shows_painting: bool) -> str:
    """One row of thumbnails; a painting is shown once, since the bytes are few."""
    painting = _image("painting", card.style_thumbnail) if shows_painting else ""
    style = f"{painting} {card.style}".lstrip()
    content = _image("photograph", card.content_thumbnail)
    result = _image("picture", card.result_thumbnail)
    return f"| {content} | {style} | {result} | {plain(card.row_id)} |\n"


def _image(what: str, data: bytes) -> str:
    encoded = base64.b64encode(data).decode()
    return f"![{what}](data:image/jpeg;base64,{encoded})" if data else ""
