"""The whole store goes away, or refuses us, in the middle of a run of the command line."""

import time
from collections.abc import Iterator
from pathlib import Path

import fault_proxy
import pytest
from buckets import Workplace
from command_line import Answer
from fault_proxy import FaultProxy, run_fault_proxy
from faulty_store import FaultyStore, faulty_store, impatience
from reliability import See
from servers import S3Server

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(900),
]

ROWS = [f"photo{number:02d}" for number in range(12)]
AWAY_S = 30.0
SHORT_S, PATIENCE_S = 5.0, 10.0
# Requests in flight when it goes, the time to wait, those that say goodbye, and a busy machine.
STATED_S = 4 * (2 * 4 * SHORT_S) + PATIENCE_S + 60


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def place(proxy: FaultProxy, workplace: Workplace) -> Iterator[FaultyStore]:
    with faulty_store(proxy, workplace) as place:
        place.fill(ROWS)
        yield place


def assert_all_made(place: FaultyStore, answer: Answer) -> None:
    assert answer.code == 0, answer
    assert answer.lines[0] == f"made {len(ROWS)}, skipped 0, failed 0"
    assert len(place.pictures()) == len(ROWS)
    assert sorted(place.puts()) == ROWS
    assert place.leftovers() == []
    rows = place.direct.results(answer.run_uri)
    assert [row["status"] for row in rows] == ["made"] * len(ROWS)


def assert_broke_off(answer: Answer) -> None:
    assert answer.code == 1, answer
    assert "start the job again to go on" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_store_that_is_away_for_a_while_costs_that_time_and_no_row(
    place: FaultyStore, seen: See
) -> None:
    place.go_away(fault_proxy.reset, ("PUT", "/images/.*photo05"), AWAY_S)
    start = time.monotonic()
    answer = place.run()
    assert_all_made(place, answer)
    seen(
        f"the store fails every request for {AWAY_S:.0f} s in the middle of a run",
        "rows wait for it; every picture made once; exit code 0",
        f"{time.monotonic() - start:.0f} s",
    )


def test_a_store_that_stays_away_ends_the_run_and_the_next_start_makes_what_is_missing(
    place: FaultyStore, tmp_path: Path, seen: See
) -> None:
    place.go_away(fault_proxy.stall, ("PUT", "/images/.*photo05"))
    start = time.monotonic()
    answer = place.run(**impatience(tmp_path, SHORT_S, PATIENCE_S))
    seconds = time.monotonic() - start
    assert_broke_off(answer)
    assert "AWS_ENDPOINT_URL" in answer.stderr
    assert seconds < STATED_S
    place.proxy.heal()
    before = len(place.puts())
    assert 0 < before < len(ROWS)
    assert_all_made(place, place.run())
    seen(
        "the store answers no request from the middle of a run on; it waits "
        f"{PATIENCE_S:.0f} s instead of ten minutes",
        "the run ends with exit code 1 and no failed row; started again it makes what is missing",
        f"{seconds:.0f} s; {before} pictures before, {len(ROWS) - before} after, none twice",
    )


def test_credentials_that_end_during_a_run_end_it_and_fail_no_row(
    place: FaultyStore, seen: See
) -> None:
    place.go_away(fault_proxy.expired_token, ("PUT", "/images/.*photo05"))
    start = time.monotonic()
    answer = place.run()
    seconds = time.monotonic() - start
    assert_broke_off(answer)
    assert "Check the credentials" in answer.stderr
    place.proxy.heal()
    assert_all_made(place, place.run())
    seen(
        "the token of the credentials expires in the middle of a run",
        "the run ends at once with exit code 1, says to check the credentials, and fails no row; "
        "started again it makes what is missing",
        f"{seconds:.0f} s",
    )


def test_a_shard_whose_results_cannot_be_written_stays_to_be_done(
    place: FaultyStore, seen: See
) -> None:
    place.proxy.on("PUT", f"{place.name}/.*/results/", fault_proxy.internal_error)
    start = time.monotonic()
    answer = place.run()
    seconds = time.monotonic() - start
    assert_broke_off(answer)
    place.proxy.heal()
    before = len(place.puts())
    assert_all_made(place, place.run())
    seen(
        "the store answers 500 to every PUT of results",
        "its shards stay to be done, exit code 1; started again no picture is made twice",
        f"{seconds:.0f} s; {before} pictures before",
    )
