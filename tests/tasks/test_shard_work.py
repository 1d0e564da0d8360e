"""One shard from plan to results, without Prefect: a local folder and a stub for a stylizer."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from local_jobs import LocalBucket
from PIL import Image
from stub_stylizers import Invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import NonFiniteError, RunStoppedError, StorageFaultError
from stylecore.stylizer import Content, Stylized
from tasks.preparing import prepare_run
from tasks.progress import BOARD, Tally
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.stopping import stop_flag


class FailingStore(Store):
    """A store that refuses to write some pictures, and holds up others."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = "nothing"
        self.gate = threading.Event()
        self.gate.set()

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        if "/images/" in uri:
            self.gate.wait(30)
        if self.refused in uri:
            raise StorageFaultError(uri, "the disk is full")
        return super().create_once(uri, data, content_type)


def plan(bucket: LocalBucket, store: Store | None = None, **fields: Any) -> RunLedger:
    return prepare_run(store or Store(), bucket.job(**fields))


def work(ledger: RunLedger, number: int = 0, **fields: Any) -> Tally:
    """Work on a shard as a session of its own."""
    values = {"session": uuid4().hex, "device": "cpu", **fields}
    return work_through_shard(ledger, ShardRequest(ledger.run_uri, number, **values))


def counts(tally: Tally) -> tuple[int, int, int]:
    return tally.made, tally.skipped, tally.failed


def codes(bucket: LocalBucket) -> dict[str, str | None]:
    return {Path(row["content_uri"]).stem: row["error_code"] for row in bucket.results()}


def test_every_row_gets_its_picture_and_its_line(bucket: LocalBucket, invert: Invert) -> None:
    bucket.fill(5)
    assert counts(work(plan(bucket))) == (5, 0, 0)
    for number, row in enumerate(bucket.results()):
        path = Path(row["output_uri"])
        assert path in bucket.pictures()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["output_sha256"]
        assert Path(row["content_uri"]).stem == f"photo{number:02d}"
        with Image.open(path) as picture, Image.open(row["content_uri"]) as photograph:
            assert picture.size == (row["width_px"], row["height_px"])
            small = np.asarray(photograph.resize(picture.size), float)
            assert np.abs(255 - small - np.asarray(picture)).mean() < 12
        assert (row["evaluations"], row["total_loss"], row["psnr_content"]) == (5, 3.0, None)


def test_results_are_in_the_plans_order_whatever_the_stylizers(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(contents: Iterable[Content]) -> Iterator[Stylized]:
        yield from (Stylized(one.key, one.pixels) for one in reversed(list(contents)))

    monkeypatch.setattr(invert, "stylize", backwards)
    bucket.fill(5)
    work(plan(bucket))
    assert [row["row_id"] for row in bucket.results()] == ["0", "1", "2", "3", "4"]


def test_rows_that_planning_refused_fail_unread_and_keep_their_reason(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(1)
    rows = [{"uri": "photo00.jpg"}, {"uri": "http://h/a.jpg"}, {"uri": "/elsewhere/a.jpg"}]
    ledger = plan(bucket, manifest_uri=str(bucket.manifest(*rows)))
    tally = work(ledger)
    assert (counts(tally), tally.failed_by_code["not_allowed"]) == ((1, 0, 2), 2)
    assert "scheme 'http'" in bucket.results()[1]["error_message"]
    assert "--allow /elsewhere" in bucket.results()[2]["error_message"]


def test_what_the_stylizer_cannot_make_fails_with_its_own_code(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def troubled(contents: Iterable[Content]) -> Iterator[Stylized]:
        for one in contents:
            error = NonFiniteError("", "the objective is NaN") if one.key == 1 else None
            yield Stylized(one.key, None if error else one.pixels, error=error)

    monkeypatch.setattr(invert, "stylize", troubled)
    bucket.fill(3)
    assert counts(work(plan(bucket))) == (2, 0, 1)
    assert codes(bucket) == {"photo00": None, "photo01": "non_finite", "photo02": None}


def test_a_style_of_a_row_that_is_missing_fails_its_rows_without_a_stylizer(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    rows = [{"uri": "photo00.jpg", "style_uri": "no.jpg"}, {"uri": "photo01.jpg"}]
    ledger = plan(bucket, manifest_uri=str(bucket.manifest(*rows)))
    shards = [ledger.record.styles[s.style_index].name for s in ledger.record.shards]
    assert counts(work(ledger, shards.index("no"))) == (0, 0, 1)
    assert (codes(bucket), invert.stylized) == ({"photo00": "missing"}, [])


def test_a_picture_that_cannot_be_written_fails_its_row_only(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(4)
    store = FailingStore()
    store.refused = "images/wave/photo02-"
    assert counts(work(plan(bucket, store))) == (3, 0, 1)
    assert codes(bucket)["photo02"] == "storage_error"
    assert len(bucket.pictures()) == 3


def test_a_fault_of_ours_in_reading_one_row_costs_that_row_only(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(store: Store, uri: str, *arguments: int) -> tuple[bytes, str]:
        if uri.endswith("photo01.jpg"):
            raise ZeroDivisionError("oops")
        return original(store, uri, *arguments)

    bucket.fill(3)
    ledger, original = plan(bucket), Store.read_bytes
    monkeypatch.setattr(Store, "read_bytes", read)
    assert counts(work(ledger)) == (2, 0, 1)
    assert codes(bucket)["photo01"] == "internal"
    assert "ZeroDivisionError: oops" in bucket.results()[1]["error_message"]


def test_a_stopped_session_leaves_whole_pictures_and_no_results(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_after_two(contents: Iterable[Content]) -> Iterator[Stylized]:
        for number, one in enumerate(contents):
            if number == 2:
                stop_flag("stopped").set()
            invert.watch.check_stop()
            yield Stylized(one.key, one.pixels)

    monkeypatch.setattr(invert, "stylize", stop_after_two)
    bucket.fill(6)
    ledger = plan(bucket)
    with pytest.raises(RunStoppedError):
        work(ledger, session="stopped")
    assert len(bucket.pictures()) == 2
    for path in bucket.pictures():
        with Image.open(path) as image:
            image.load()
    assert ledger.pending_shards() == [0]


def test_a_stop_flag_is_of_one_session_and_also_ends_reading(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    for name in ("a.jpg", "b.jpg"):  # they never reach the stylizer, which looks at the flag too
        (bucket.photographs / name).write_bytes(b"")
    ledger = plan(bucket)
    stop_flag("yesterday").set()
    with pytest.raises(RunStoppedError):
        work(ledger, session="yesterday")
    assert (invert.stylized, BOARD.read(ledger.run_uri)[0].failed) == ([], 0)
    assert counts(work(ledger, session="today")) == (2, 0, 2)


def test_a_finished_shard_is_not_worked_on_again_and_tells_its_counts(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(3)
    (bucket.photographs / "bad.jpg").write_bytes(b"")
    ledger = plan(bucket)
    first = work(ledger)
    assert counts(work(ledger)) == counts(first) == (3, 0, 1)
    assert (len(invert.stylized), invert.scored) == (3, 3)


def test_pictures_older_than_the_run_are_skipped_and_not_read_or_written(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(3)
    work(plan(bucket))
    before = {path: path.stat().st_mtime_ns for path in bucket.pictures()}
    again = plan(bucket, run_key="again")
    assert counts(work(again)) == (0, 3, 0)
    assert {path: path.stat().st_mtime_ns for path in bucket.pictures()} == before
    assert len(invert.stylized) == 3
    skipped = [outcome for outcome in again.outcomes() if outcome.status == "skipped"]
    assert {Path(str(outcome.output_uri)) for outcome in skipped} == set(bucket.pictures())


def test_of_two_workers_on_a_shard_the_first_results_stand(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(2)
    ledger = plan(bucket, method="identity")  # which needs no device, so that two can work
    original = invert.stylize

    def overtaken(contents: Iterable[Content]) -> Iterator[Stylized]:
        monkeypatch.setattr(invert, "stylize", original)
        work(ledger)
        yield from original(contents)

    monkeypatch.setattr(invert, "stylize", overtaken)
    work(ledger)
    lines = bucket.results()
    assert len(lines) == 2
    assert len(list(bucket.output.glob("runs/*/results/*"))) == 1
    for row in lines:
        data = Path(row["output_uri"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["output_sha256"]


def test_a_retry_makes_failed_rows_only_as_the_next_attempt(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(3)
    broken = bucket.photographs / "photo01.jpg"
    whole = broken.read_bytes()
    rows = [{"id": path.stem, "uri": path.name} for path in bucket.photographs.glob("*.jpg")]
    broken.write_bytes(b"")
    ledger = plan(bucket, manifest_uri=str(bucket.manifest(*rows)))
    work(ledger)
    assert counts(work(ledger, retry="failed")) == (0, 0, 1)
    broken.write_bytes(whole)
    assert counts(work(ledger, retry="failed")) == (1, 0, 0)
    assert [(row["row_id"], row["attempt"]) for row in bucket.results()[3:]] == [
        ("photo01", 2),
        ("photo01", 3),
    ]
    assert {outcome.status for outcome in ledger.outcomes()} == {"made"}
    assert counts(work(ledger, retry="failed")) == (3, 0, 0)
    assert len(bucket.results()) == 5


def test_a_slow_store_holds_the_stylizer_up_instead_of_filling_memory(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(12)
    store = FailingStore()
    ledger = plan(bucket, store)
    store.gate.clear()
    worker = threading.Thread(target=work, args=(ledger,))
    worker.start()
    try:
        num_ahead = settle(invert)
    finally:
        store.gate.set()
        worker.join()
    assert 4 <= num_ahead <= 6
    assert len(bucket.pictures()) == 12


def test_the_board_tells_how_far_a_run_is(bucket: LocalBucket, invert: Invert) -> None:
    bucket.fill(3)
    (bucket.photographs / "bad.jpg").write_bytes(b"")
    ledger = plan(bucket, limits={"rows_per_shard": 2})
    work(ledger, 0)
    assert BOARD.read(ledger.run_uri)[0].done == 2
    work(ledger, 1)
    tally, _ = BOARD.read(ledger.run_uri)
    assert (counts(tally), dict(tally.failed_by_code)) == ((3, 0, 1), {"empty": 1})
    BOARD.forget(ledger.run_uri)
    assert BOARD.read(ledger.run_uri) == (Tally(), 0)


def settle(invert: Invert) -> int:
    """How many photographs were stylized, once that number does not change any more."""
    seen, since, deadline = -1, time.monotonic(), time.monotonic() + 20
    while time.monotonic() < min(deadline, since + 0.5) or seen < 1:
        if len(invert.stylized) != seen:
            seen, since = len(invert.stylized), time.monotonic()
        time.sleep(0.02)
    return seen
