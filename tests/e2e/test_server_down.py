"""The Prefect server goes away, hangs, or loses its database while a run is at work."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from nights import PHOTOGRAPHS, Night
from prefect_servers import PrefectServer, run_mortal_prefect
from reliability import See

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(1800),
]

ALL_MADE = f"made {PHOTOGRAPHS}, skipped 0, failed 0"
ABSORBED = "every row made, exit 0, nothing on the terminal of it"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrefectServer]:
    (tmp_path / "prefect").mkdir()
    with run_mortal_prefect(tmp_path / "prefect") as server:
        yield server


@pytest.fixture
def night(tmp_path: Path, server: PrefectServer) -> Night:
    return Night(tmp_path, server.url)


def test_a_server_that_dies_for_ever_costs_no_picture(
    night: Night, server: PrefectServer, seen: See
) -> None:
    with night.running(until=2) as run:
        server.kill()
        answer, seconds = run.finish()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert "does not answer any more" in answer.stderr
    assert len(answer.stderr.splitlines()) <= 8, answer
    night.assert_ledger_is_true()
    server.start()
    night.assert_goes_on()
    seen(
        "the Prefect server is killed for ever in the middle of a run",
        "every row made, a warning, exit 0; started again, nothing is made again",
        f"ended {seconds:.0f} s after the kill",
    )


@pytest.mark.parametrize("away_s", [20, 90])
def test_a_server_that_comes_back_is_told_the_end(
    night: Night, server: PrefectServer, seen: See, away_s: int
) -> None:
    with night.running(until=2, seconds=away_s / 4) as run:
        server.kill()
        time.sleep(away_s)
        server.start()
        answer, seconds = run.finish()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert "warning" not in answer.stderr
    night.assert_ledger_is_true()
    night.assert_goes_on()
    seen(
        f"the Prefect server is killed and started again after {away_s} s",
        "every row made, exit 0",
        f"ended {seconds:.0f} s after the kill",
    )


@pytest.mark.parametrize("frozen_s", [40, 10_000])
def test_a_server_that_hangs_holds_nobody_up_for_ever(
    night: Night, server: PrefectServer, seen: See, frozen_s: int
) -> None:
    is_for_ever = frozen_s > 1000
    with night.running(until=2) as run:
        server.freeze()
        thaw = threading.Timer(frozen_s, server.thaw)
        thaw.start()
        try:
            answer, seconds = run.finish()
        finally:
            thaw.cancel()
    server.thaw()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert ("does not answer any more" in answer.stderr) == is_for_ever
    night.assert_goes_on()
    seen(
        f"the Prefect server hangs {'for ever' if is_for_ever else f'for {frozen_s} s'} (SIGSTOP)",
        "every row made, a warning, exit 0" if is_for_ever else "every row made, exit 0",
        f"ended {seconds:.0f} s after the stop",
    )


@pytest.mark.parametrize("locked_s", [30, 10_000])
def test_a_locked_database_costs_no_picture(
    night: Night, server: PrefectServer, seen: See, locked_s: int
) -> None:
    is_for_ever = locked_s > 1000
    with night.running(until=2) as run, ExitStack() as lock:
        lock.enter_context(server.locked_database())
        if not is_for_ever:
            time.sleep(locked_s)
            lock.close()
        answer, seconds = run.finish()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert ("does not answer any more" in answer.stderr) == is_for_ever, answer
    night.assert_goes_on()
    seen(
        f"its database is locked {'for ever' if is_for_ever else f'for {locked_s} s'}",
        "every row made, a warning, exit 0" if is_for_ever else "every row made, exit 0",
        f"ended {seconds:.0f} s after the lock",
    )


def test_a_server_that_lost_its_database_costs_no_picture(
    night: Night, server: PrefectServer, seen: See
) -> None:
    with night.running(until=2) as run:
        server.kill()
        server.lose_database()
        server.start()
        answer, seconds = run.finish()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert "does not know this run any more: it lost its database" in answer.stderr, answer
    night.assert_goes_on()
    seen(
        "the server's database is lost, and the server started anew, in the middle of a run",
        "every row made, a warning, exit 0",
        f"ended {seconds:.0f} s after the loss",
    )


def test_the_embedded_server_may_die_too(tmp_path: Path, seen: See) -> None:
    night = Night(tmp_path, None)
    with night.running(until=2) as run:
        children = psutil.Process(run.process.pid).children(recursive=True)
        (server,) = [child for child in children if "uvicorn" in child.cmdline()]
        server.kill()
        answer, seconds = run.finish()
    assert (answer.code, answer.lines[0]) == (0, ALL_MADE), answer
    assert "(Prefect's embedded server) does not answer any more" in answer.stderr, answer
    night.assert_goes_on()
    seen(
        "Prefect's embedded server is killed in the middle of a run",
        "every row made, a warning, exit 0",
        f"ended {seconds:.0f} s after the kill",
    )


def test_a_run_that_is_killed_while_the_server_is_away_goes_on(
    night: Night, server: PrefectServer, seen: See
) -> None:
    with night.running(until=2, seconds=10.0) as run:
        server.kill()
        time.sleep(2)
        run.process.kill()
        run.process.wait()
    made = len(night.made_at())
    night.assert_ledger_is_true()
    server.start()
    night.assert_goes_on()
    seen(
        "the Prefect server and then the run are killed",
        "the same command goes on, and makes no picture again",
        f"{made} of {PHOTOGRAPHS} pictures kept",
    )
