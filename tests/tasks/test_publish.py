"""What the dashboard is told, as text: durations, progress, the summary and its bound."""

import logging
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from local_jobs import LocalBucket
from stub_stylizers import Invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.report import PictureCard
from stylecore.batch.store import Store
from tasks.markdown import plain
from tasks.preparing import prepare_run
from tasks.progress import BOARD, Tally
from tasks.publish import ProgressPublisher, duration, shard_table, summary_markdown
from tasks.reporting import Closing, close_ledger
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "unknown"),
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3600, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_is_told_as_people_say_it(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.fixture
def ledger(bucket: LocalBucket, invert: Invert) -> RunLedger:
    """Two of three shards are done, one row failed."""
    bucket.fill(5)
    (bucket.photographs / "a|b.jpg").write_bytes(b"")
    ledger = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 2}))
    for number in (0, 1):
        request = ShardRequest(ledger.run_uri, number, str(bucket.folder), device="cpu")
        work_through_shard(ledger, request)
    return ledger


def test_the_table_of_shards_tells_which_are_done(ledger: RunLedger) -> None:
    table = shard_table(ledger)
    assert [row["state"] for row in table] == ["done", "done", "to do"]
    assert [row["pictures"] for row in table] == [2, 2, 2]


def test_the_summary_tells_totals_codes_and_shows_thumbnails(ledger: RunLedger) -> None:
    text = summary_markdown(ledger, close_ledger(ledger, 60.0))
    assert text.startswith("# made 3, skipped 0, failed 1, still to do 2\n")
    assert "| `empty` | 1 | The file has no bytes." in text
    assert "1 min 00 s, 0.050 images/s" in text
    assert text.count("](data:image/jpeg;base64,") == 1 + 2 * 3, "the painting once"
    assert f"Report: {plain(ledger.uri('report.html'))}\n" in text, "no link to a local folder"


def test_the_summary_stays_below_100_kb_and_cuts_whole_lines(ledger: RunLedger) -> None:
    summary = close_ledger(ledger, 1.0).summary
    card = PictureCard("a|b", "wave", None, b"c" * 5000, b"s" * 5000, b"r" * 5000, {})
    text = summary_markdown(ledger, Closing(summary, [card] * 40))
    assert 60_000 < len(text.encode()) < 100_000
    assert text.endswith("| `a\\u007cb` |\n")


def test_the_log_tells_of_rows_that_were_done_and_else_only_each_minute(
    ledger: RunLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr("tasks.publish.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("tasks.publish.get_run_logger", lambda: logging.getLogger("told"))
    monkeypatch.setattr("tasks.publish.ProgressBar", Mock())
    caplog.set_level(logging.INFO, "told")
    publisher = ProgressPublisher(ledger, 6)
    for second in range(0, 130, 5):
        now[0] = 1000.0 + second
        if second == 20:
            BOARD.post(ledger.run_uri, 0, Tally(made=2))
        publisher.publish()
    told = [message.partition(";")[0] for message in caplog.messages]
    assert told == ["2/6: made 2, skipped 0, failed 0"] * 2  # when it was done, a minute later
    publisher.publish(is_last=True)
    assert len(caplog.messages) == 3
