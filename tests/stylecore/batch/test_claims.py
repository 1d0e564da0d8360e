"""Claims on shards, in a local folder and in a bucket: who has one, and when it is over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from stylecore.batch import claims
from stylecore.batch.claims import Claim, claim_shard, holder_of
from stylecore.batch.ledger import RunLedger
from stylecore.batch.processes import this_process
from stylecore.batch.store import Store

ELSEWHERE = {"host": "elsewhere", "machine": "another", "pid": 1, "started": 1}
WAIT_S = 30  # half the time after which a claim is stale
HOLDER = """
import signal, sys
from stylecore.batch.claims import claim_shard
from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
with claim_shard(RunLedger(Store(), sys.argv[1], "0123"), 0) as claim:
    print(claim.number, flush=True)
    signal.pause()
"""


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.e2e)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> RunLedger:
    """A run, of which only the claims matter."""
    if request.param == "local":
        return RunLedger(Store(), str(tmp_path), "0123")
    request.getfixturevalue("s3_environment")
    return RunLedger(Store(), f"s3://outbox/{uuid4().hex}", "0123")


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims are touched every half second and stale after three."""
    monkeypatch.setattr(claims, "TOUCH_EVERY_S", 0.5)
    monkeypatch.setattr(claims, "STALE_AFTER_S", 3.0)


def write_claim(ledger: RunLedger, process: dict[str, Any], shard: int = 0, number: int = 1) -> str:
    uri = ledger.uri("claims", f"{shard:05d}.{number}.json")
    ledger.store.write_bytes(uri, json.dumps({"owner": "o", "process": process}).encode())
    return uri


def wait_until_free(ledger: RunLedger) -> None:
    deadline = time.monotonic() + WAIT_S
    while holder_of(ledger, 0):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_of_many_claimers_exactly_one_has_the_shard(ledger: RunLedger) -> None:
    def claim(_: int) -> Claim | None:
        return stack.enter_context(claim_shard(ledger, 0))

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claim, range(16)))
    assert sum(one is not None for one in found) == 1


def test_shards_are_claimed_one_by_one(ledger: RunLedger) -> None:
    with claim_shard(ledger, 0) as first, claim_shard(ledger, 1) as second:
        assert first is not None
        assert second is not None


def test_a_claim_that_was_given_up_is_followed_by_the_next(ledger: RunLedger) -> None:
    for number in (1, 2, 3):
        assert holder_of(ledger, 0) is None
        with claim_shard(ledger, 0) as claim:
            assert claim is not None
            assert claim.number == number
            assert holder_of(ledger, 0) == f"process {os.getpid()} on {this_process().host}"
            with claim_shard(ledger, 0) as another:
                assert another is None


def test_a_claim_ends_with_an_error_too(ledger: RunLedger) -> None:
    with pytest.raises(RuntimeError), claim_shard(ledger, 0):
        raise RuntimeError("the device fell off the bus")
    assert holder_of(ledger, 0) is None


@pytest.mark.usefixtures("_hurried")
def test_a_claim_from_elsewhere_is_over_when_nobody_touches_it(ledger: RunLedger) -> None:
    write_claim(ledger, ELSEWHERE)
    assert holder_of(ledger, 0) == "process 1 on elsewhere"
    with claim_shard(ledger, 0) as claim:
        assert claim is None
    wait_until_free(ledger)
    with claim_shard(ledger, 0) as claim:
        assert claim is not None
        assert claim.number == 2


@pytest.mark.usefixtures("_hurried")
def test_a_claim_is_kept_fresh_as_long_as_its_owner_lives(ledger: RunLedger) -> None:
    with claim_shard(ledger, 0) as claim:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert holder_of(ledger, 0)
            time.sleep(0.2)
        assert claim is not None
        assert not claim.is_lost()


@pytest.mark.parametrize("shift_s", [-86_400.0, 86_400.0])
def test_this_machines_clock_does_not_matter(
    ledger: RunLedger, shift_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE_AFTER_S", 3.0)
    wrong = time.time
    write_claim(ledger, ELSEWHERE)
    monkeypatch.setattr("stylecore.batch.local.time.time", lambda: wrong() + shift_s)
    assert holder_of(ledger, 0)
    wait_until_free(ledger)


@pytest.mark.usefixtures("_hurried")
def test_an_owner_learns_that_its_claim_was_taken_over(ledger: RunLedger) -> None:
    with claim_shard(ledger, 0) as claim:
        assert claim is not None
        assert not claim.seems_lost
        write_claim(ledger, ELSEWHERE, number=2)
        deadline = time.monotonic() + 20
        while not claim.seems_lost:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert claim.is_lost()
        assert holder_of(ledger, 0) == "process 1 on elsewhere"


def test_an_owner_that_asks_is_told_at_once(ledger: RunLedger) -> None:
    with claim_shard(ledger, 0) as claim:
        assert claim is not None
        assert not claim.is_lost()
        write_claim(ledger, ELSEWHERE, number=2)
        assert claim.is_lost()


@pytest.fixture
def holder(ledger: RunLedger) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the shard."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, ledger.output_uri], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "1"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_claim_of_a_process_that_was_killed_here_is_over_at_once(
    ledger: RunLedger, holder: subprocess.Popen[str]
) -> None:
    with claim_shard(ledger, 0) as claim:
        assert claim is None
    holder.send_signal(signal.SIGKILL)
    wait_until_free(ledger)
    with claim_shard(ledger, 0) as claim:
        assert claim is not None
        assert claim.number == 2


def test_a_process_number_that_is_used_again_is_another_process() -> None:
    mine = this_process()
    assert mine.started is not None
    assert not mine.is_dead()
    assert mine.model_copy(update={"started": mine.started - 1}).is_dead()


def test_nothing_is_known_of_processes_of_other_machines_and_containers() -> None:
    other = this_process().model_copy(update={"machine": "another", "pid": 2**22 + 1})
    assert not other.is_dead()
    assert other.model_copy(update={"machine": this_process().machine}).is_dead()


def test_a_shard_stays_suspect_until_somebody_who_took_it_over_is_done(ledger: RunLedger) -> None:
    write_claim(ledger, {**this_process().model_dump(), "pid": 2**22 + 1})
    for is_done in (False, True, False):
        with claim_shard(ledger, 0) as claim:
            assert claim is not None
            seen = claim.follows_death
            claim.is_done = is_done
        assert seen is (claim.number <= 3)


def test_a_claim_that_this_process_could_not_release_is_no_death(ledger: RunLedger) -> None:
    assert not claims._is_bad_sign(
        claims.ClaimRecord(owner="before", process=this_process()),
        claims.ClaimRecord(owner="now", process=this_process()),
    )
