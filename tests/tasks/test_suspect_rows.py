"""Rows that are suspect from before: made apart, once in a run, and remembered."""

from pathlib import Path
from uuid import uuid4

import pytest
from dead_processes import leave_dead_claim, poison
from local_jobs import LocalBucket
from sample_images import GREAT_WAVE

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.batch.suspects import Suspects, begin_work
from tasks import suspect_rows
from tasks.preparing import prepare_run
from tasks.progress import Tally
from tasks.shard_work import ShardRequest, work_through_shard

slow = pytest.mark.slow  # each starts processes


def work(ledger: RunLedger, shard: int = 0, **fields: object) -> Tally | None:
    values = {"session": uuid4().hex, "device": "cpu", **fields}
    return work_through_shard(ledger, ShardRequest(ledger.run_uri, shard, **values))


def plan(bucket: LocalBucket, **fields: object) -> RunLedger:
    return prepare_run(Store(), bucket.job(method="identity", **fields))


def suspect(run: RunLedger, place: int) -> None:
    """Let another run have had the row in hand when it died."""
    shard = run.read_shard(0)
    uri, style_uri = shard.rows[place].content_uri, shard.style.style().uri
    Suspects(run.store, run.output_uri).note_in_hand(uri, style_uri, "other run")


def suspects(bucket: LocalBucket) -> int:
    return len(list(bucket.output.glob("deaths/*.json")))


def codes(bucket: LocalBucket, run: RunLedger) -> list[str | None]:
    return [outcome.error_code for outcome in run.outcomes()]


def test_a_suspect_is_made_apart_the_others_here_and_nobody_is_suspect_then(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(4)
    run = plan(bucket)
    suspect(run, 2)
    made_apart: list[int] = []
    make_apart = suspect_rows.make_apart

    def spy(book: object, todo: list[int], *rest: object) -> None:
        made_apart.extend(todo)
        make_apart(book, todo, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(suspect_rows, "make_apart", spy)
    assert work(run) == Tally(made=4)
    assert made_apart == [2]
    assert suspects(bucket) == 0


@slow
def test_a_poisoned_photograph_ends_one_process_in_a_run_however_many_styles_there_are(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(3)
    (bucket.folder / "other.jpg").write_bytes(GREAT_WAVE.read_bytes() + b" ")
    styles = [str(bucket.folder / name) for name in ("wave.jpg", "other.jpg")]
    run = plan(bucket, styles=styles)
    leave_dead_claim(run)
    counted = bucket.folder / "deaths"
    act = f"open({str(counted)!r}, 'a').write('x'); os.abort()"
    poison(monkeypatch, bucket.folder, act)
    work(run, 0)
    work(run, 1)
    assert codes(bucket, run) == [None, None, "crashed"] * 2
    assert counted.read_text() == "x"
    work(run, 1, retry="failed")
    assert counted.read_text() == "xx"


def test_a_shard_whose_worker_died_clears_what_others_had_noted(bucket: LocalBucket) -> None:
    bucket.fill(2)
    run = plan(bucket)
    suspect(run, 1)
    leave_dead_claim(run)
    assert work(run) == Tally(made=2)
    assert suspects(bucket) == 0


@slow
def test_a_picture_that_is_there_in_one_style_clears_nothing_for_another(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(3)
    (bucket.folder / "other.jpg").write_bytes(GREAT_WAVE.read_bytes() + b" ")
    work(plan(bucket))
    styles = [str(bucket.folder / name) for name in ("wave.jpg", "other.jpg")]
    dead = plan(bucket, styles=styles)
    begin_work(dead)
    leave_dead_claim(dead, shard=1)
    poison(monkeypatch, bucket.folder, "os.abort()")
    night = plan(bucket, styles=styles, run_key="the next night")
    begin_work(night)
    work(night, 0)
    work(night, 1)
    assert codes(bucket, night) == [None] * 5 + ["crashed"]


@slow
def test_the_next_run_tries_it_once_apart_and_forgets_it_when_it_is_made(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(3)
    run = plan(bucket)
    leave_dead_claim(run)
    poison(monkeypatch, bucket.folder, "os.abort()")
    work(run)
    again = plan(bucket, run_key="again")
    work(again)
    assert codes(bucket, again) == [None, None, "crashed"]
    assert suspects(bucket) == 1
    monkeypatch.delenv("PYTHONPATH")
    mended = plan(bucket, run_key="mended")
    work(mended)
    assert codes(bucket, mended) == [None] * 3
    assert suspects(bucket) == 0


def test_a_suspect_that_is_missing_stays_suspect(bucket: LocalBucket) -> None:
    bucket.fill(2)
    run = plan(bucket)
    suspect(run, 1)
    Path(run.read_shard(0).rows[1].content_uri).unlink()
    work(run)
    assert codes(bucket, run) == [None, "missing"]
    assert suspects(bucket) == 1
