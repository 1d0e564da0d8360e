"""The store goes away while a shard is worked on: a real one, behind a proxy that cuts it off."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator

import fault_proxy
import pytest
from fault_proxy import Exchange, Fault, FaultProxy, run_fault_proxy
from sample_images import GREAT_WAVE, make_photographs
from servers import S3Server

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import RunStoppedError, StorageFaultError, StoreAwayError
from tasks.leaving import Budget
from tasks.outages import StoreWatch
from tasks.preparing import prepare_run
from tasks.progress import Tally
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.stopping import stop_flag

pytestmark = pytest.mark.e2e

COUNT = 5
ENDLESS = Budget()


@pytest.fixture(scope="module")
def shared_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture
def proxy(
    shared_proxy: FaultProxy, s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", shared_proxy.s3.endpoint_url)
    monkeypatch.setattr("tasks.outages._LOOK_EVERY_S", 0.2)
    yield shared_proxy
    shared_proxy.heal()


@pytest.fixture
def ledger(proxy: FaultProxy) -> RunLedger:
    """Five photographs of a bucket, planned as one shard."""
    store, name = Store(), secrets.token_hex(4)
    for key, data in make_photographs(COUNT).items():
        store.write_bytes(f"s3://inbox/{name}/{key}", data)
    store.write_bytes(f"s3://inbox/{name}-style.jpg", GREAT_WAVE.read_bytes())
    values = {
        "manifest_uri": f"s3://inbox/{name}/",
        "styles": [f"s3://inbox/{name}-style.jpg"],
        "output_uri": f"s3://outbox/{name}",
        "method": "identity",
        "max_side_px": 32,
    }
    return prepare_run(store, StylizeJob.model_validate(values))


def go_away(proxy: FaultProxy, fault: Fault = fault_proxy.reset) -> Fault:
    """From this request on, everything fails like it."""

    def begin(exchange: Exchange) -> None:
        proxy.on(".*", "", fault)
        fault(exchange)

    return begin


def work(ledger: RunLedger, session: str = "", budget: Budget = ENDLESS) -> Tally | None:
    request = ShardRequest(ledger.run_uri, 0, session or secrets.token_hex(8), budget=budget)
    return work_through_shard(ledger, request)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def pictures_written(proxy: FaultProxy, ledger: RunLedger) -> list[str]:
    return sorted(proxy.done("PUT", f"{ledger.output_uri[5:]}/images/"))


@pytest.mark.slow
@pytest.mark.parametrize("at", ["GET photo02", "PUT photo02", "PUT results"])
def test_a_store_that_is_away_for_a_while_fails_no_row(
    proxy: FaultProxy, ledger: RunLedger, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    method, key = at.split()
    away = proxy.on(method, key, go_away(proxy), 1)

    def come_back() -> None:
        wait_until(lambda: "waiting for the store" in caplog.text)
        time.sleep(8)  # longer than it takes a row to fail twice
        proxy.heal()

    back = in_background(come_back)
    assert work(ledger) == Tally(made=COUNT)
    back.join()
    assert away.hits == 1
    assert [outcome.status for outcome in ledger.outcomes()] == ["made"] * COUNT


def test_a_store_that_stays_away_leaves_every_row_to_be_done(
    proxy: FaultProxy, ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.outages.PATIENCE_S", 1.0)
    proxy.on("PUT", "photo03", go_away(proxy), 1)
    with pytest.raises(StoreAwayError, match="AWS_ENDPOINT_URL"):
        work(ledger)
    proxy.heal()
    assert ledger.pending_shards() == [0]
    before = pictures_written(proxy, ledger)
    ledger.store.delete_folder(ledger.uri("claims"))  # as of a process that is dead
    assert work(ledger) == Tally(made=COUNT)
    after = pictures_written(proxy, ledger)
    assert len(after) == len(set(after)) == COUNT
    assert 0 < len(before) < COUNT
    assert ledger.pending_shards() == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault_proxy.expired_token, fault_proxy.access_denied])
def test_a_store_that_refuses_the_run_itself_is_not_waited_for(
    proxy: FaultProxy, ledger: RunLedger, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.on("GET", "photo01", go_away(proxy, fault), 1)
    start = time.monotonic()
    with pytest.raises(StoreAwayError, match="Check the credentials"):
        work(ledger)
    assert time.monotonic() - start < 30
    assert "Traceback" not in caplog.text
    proxy.heal()
    assert ledger.pending_shards() == [0]


@pytest.mark.slow
def test_the_fault_of_one_object_is_its_rows(proxy: FaultProxy, ledger: RunLedger) -> None:
    proxy.on("GET", "photo01", fault_proxy.internal_error)
    proxy.on("PUT", "photo03", fault_proxy.slow_down)
    proxy.on("GET", "photo04", fault_proxy.access_denied)
    tally = work(ledger)
    assert tally is not None
    assert (tally.made, tally.failed_by_code) == (2, {"storage_error": 2, "forbidden": 1})


@pytest.mark.slow
def test_a_stop_ends_the_waiting(proxy: FaultProxy, ledger: RunLedger) -> None:
    session = secrets.token_hex(8)
    away = proxy.on("GET", "photo01", go_away(proxy), 1)

    def stop() -> None:
        wait_until(lambda: away.hits == 1)
        stop_flag(session).set()

    stopping = in_background(stop)
    with pytest.raises(RunStoppedError):
        work(ledger, session)
    stopping.join()
    proxy.heal()
    assert ledger.pending_shards() == [0]


@pytest.mark.slow
def test_the_end_of_the_budget_ends_the_waiting(proxy: FaultProxy, ledger: RunLedger) -> None:
    watch = StoreWatch(ledger, secrets.token_hex(8), Budget(1, time.time() + 1))
    proxy.on(".*", "", fault_proxy.reset)
    with pytest.raises(RunStoppedError):
        watch.bridge(lambda: ledger.store.read_bytes(ledger.uri("job.json")))


def test_who_gave_up_asks_no_more(
    proxy: FaultProxy, ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.outages.PATIENCE_S", 0.0)
    watch = StoreWatch(ledger, secrets.token_hex(8), ENDLESS)

    def fail() -> None:
        calls.append(1)
        raise StorageFaultError("s3://inbox/a", "away")

    calls: list[int] = []
    proxy.on(".*", "", fault_proxy.reset)
    for _ in range(2):
        with pytest.raises(StoreAwayError):
            watch.bridge(fail)
    assert (len(calls), watch.has_given_up) == (1, True)
