"""A shard that is left before its end: out of time, or taken over by somebody else."""

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from uuid import uuid4

import pytest
from local_jobs import LocalBucket
from stub_stylizers import Invert

from stylecore.batch.claims import claim_shard, holder_of
from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.stylizer import Content
from tasks.leaving import Budget
from tasks.preparing import prepare_run
from tasks.progress import Tally
from tasks.shard_work import ShardRequest, work_through_shard

NO_TIME = Budget(1, 0.0)
ENDLESS = Budget()


@pytest.fixture
def ledger(bucket: LocalBucket) -> RunLedger:
    """Five photographs in one shard."""
    bucket.fill(5)
    return prepare_run(Store(), bucket.job())


def work(ledger: RunLedger, budget: Budget = ENDLESS) -> Tally | None:
    return work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, uuid4().hex, budget=budget))


def at_photograph(invert: Invert, key: int, act: Callable[[], object]) -> None:
    """Let something happen while a photograph is being stylized."""
    show = invert._show

    def happen(content: Content) -> None:
        if content.key == key:
            act()
        show(content)

    invert._show = happen  # type: ignore[method-assign]


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr("tasks.leaving.time", SimpleNamespace(time=lambda: now + seconds))


def test_out_of_time_no_picture_is_begun_and_the_shard_is_free_for_the_next_start(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert
) -> None:
    assert work(ledger, NO_TIME) == Tally()
    assert (invert.stylized, bucket.pictures(), bucket.results()) == ([], [], [])
    assert holder_of(ledger, 0) is None


def test_pictures_in_the_making_are_finished_and_the_next_start_makes_only_the_others(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget.starting_now(1)
    at_photograph(invert, 2, lambda: pass_time(monkeypatch, 90))
    tally = work(ledger, budget)
    assert tally is not None
    assert (tally.made, invert.stylized, len(bucket.pictures())) == (3, [0, 1, 2], 3)
    assert bucket.results() == []
    assert ledger.read_progress()[0]["done"] == 3
    tally = work(ledger)
    assert tally is not None
    assert (tally.made, invert.stylized) == (5, [0, 1, 2, 3, 4])
    assert len(bucket.results()) == 5


def test_pictures_that_take_too_long_after_the_end_are_dropped(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_long() -> None:
        pass_time(monkeypatch, 3600)
        invert.watch.check_stop()

    at_photograph(invert, 2, take_long)
    tally = work(ledger, Budget.starting_now(1))
    assert tally is not None
    assert (tally.made, len(bucket.pictures())) == (2, 2)
    assert holder_of(ledger, 0) is None


def test_without_a_budget_time_does_not_matter(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_photograph(invert, 2, lambda: pass_time(monkeypatch, 1e9))
    work(ledger, Budget.starting_now(None))
    assert len(bucket.results()) == 5


def test_a_shard_that_somebody_works_on_is_left_alone(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert
) -> None:
    with claim_shard(ledger, 0):
        assert work(ledger) is None
    assert (invert.stylized, bucket.results()) == ([], [])


def test_an_owner_that_lost_its_claim_writes_no_results(
    bucket: LocalBucket, ledger: RunLedger, invert: Invert
) -> None:
    at_photograph(invert, 4, lambda: take_over(ledger))
    assert work(ledger) is None
    assert bucket.results() == []


def take_over(ledger: RunLedger) -> None:
    process = {"host": "elsewhere", "machine": "another", "pid": 1, "started": 1}
    data = json.dumps({"owner": "o", "process": process}).encode()
    assert ledger.store.create_once(ledger.uri("claims", "00000.2.json"), data)


def test_pictures_that_whoever_had_the_shard_before_made_meanwhile_are_found(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    run = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 1}))
    session = uuid4().hex
    work_through_shard(run, ShardRequest(run.run_uri, 0, session))  # lists the pictures
    work_through_shard(run, ShardRequest(run.run_uri, 1, uuid4().hex))
    next(bucket.output.glob("runs/*/results/00001.parquet")).unlink()
    invert.stylized.clear()
    work_through_shard(run, ShardRequest(run.run_uri, 1, session))
    assert invert.stylized == []
    assert [row["status"] for row in bucket.results()] == ["made", "made"]
