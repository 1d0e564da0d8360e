"""The server's limit on a machine's devices: held while pictures are made, waited for, told."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from local_jobs import LocalBucket
from prefect import task
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from stub_stylizers import Invert

from flows.stylize_manifest import stylize_manifest
from stylecore.errors import RunStoppedError
from tasks import server_limit
from tasks.devices import uses_gpu
from tasks.server_limit import limit_name, server_slot

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness")]


@pytest.fixture(autouse=True)
def _has_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on GPUs; that this machine has none does not matter to it."""
    monkeypatch.setattr(server_limit, "_LOOK_EVERY_S", 0.5)
    for place in ("tasks.shard_work", "tasks.run_shards"):
        monkeypatch.setattr(f"{place}.uses_gpu", lambda _device: True)


@contextmanager
def limit_of(slots: int) -> Iterator[None]:
    """The limit of this machine, as ``deploy`` registers it."""
    wanted = GlobalConcurrencyLimitCreate(name=limit_name(), limit=slots)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(wanted)
        try:
            yield
        finally:
            client.delete_global_concurrency_limit_by_name(limit_name())


def slots_taken() -> int:
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(limit_name()).active_slots


def run(bucket: LocalBucket) -> State[dict[str, Any]]:
    return stylize_manifest(bucket.job(), return_state=True)


def summary_of(bucket: LocalBucket) -> str:
    found = Artifact.get(f"summary-{bucket.summary()['run_id']}")
    assert found is not None
    return str(found.data)


def test_a_slot_is_held_while_pictures_are_made_and_given_back_after(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(invert, "_show", lambda _: seen.append(slots_taken()))
    bucket.fill(2)
    with limit_of(3):
        assert run(bucket).message == "made 2, skipped 0, failed 0"
        assert (seen, slots_taken()) == ([1, 1], 0)
    assert f"over all runs: 3 (limit `{limit_name()}`)" in summary_of(bucket)


def test_without_a_free_slot_a_shard_waits_until_there_is_one(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, original = ExitStack(), server_limit._has_slot
    made_before: list[int] = []

    def look(held: ExitStack) -> bool:
        has_slot = original(held)
        if not has_slot:
            made_before.append(len(invert.stylized))
            others.close()
        return has_slot

    monkeypatch.setattr(server_limit, "_has_slot", look)
    bucket.fill(1)
    with limit_of(1):
        others.enter_context(concurrency(limit_name()))
        assert run(bucket).message == "made 1, skipped 0, failed 0"
    assert made_before == [0]


def test_where_the_server_has_no_limit_the_summary_says_so(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(1)
    assert run(bucket).message == "made 1, skipped 0, failed 0"
    assert f"The server has no limit `{limit_name()}`" in summary_of(bucket)
    assert invert.stylized == [0]


def test_a_limit_that_cannot_be_asked_for_costs_no_picture(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_name: str) -> int:
        raise ConnectionError("the server went away")

    monkeypatch.setattr(server_limit, "limit_slots", break_down)
    bucket.fill(1)
    assert run(bucket).message == "made 1, skipped 0, failed 0"
    assert "is unknown: the server went away" in summary_of(bucket)


def test_a_slot_that_cannot_be_given_back_costs_no_outcome(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def taken(*_: object, **__: object) -> Iterator[None]:
        yield
        raise ConnectionError("the server went away")

    monkeypatch.setattr(server_limit, "concurrency", taken)
    bucket.fill(1)
    with limit_of(1):
        assert run(bucket).message == "made 1, skipped 0, failed 0"
    assert [row["attempt"] for row in bucket.results()] == [1]
    assert invert.stylized == [0]


def test_on_a_cpu_no_slot_is_taken(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("tasks.shard_work", "tasks.run_shards"):
        monkeypatch.setattr(f"{place}.uses_gpu", uses_gpu)
    bucket.fill(1)
    with limit_of(1), concurrency(limit_name()):
        assert run(bucket).message == "made 1, skipped 0, failed 0"
    assert invert.stylized == [0]
    assert limit_name() not in summary_of(bucket)


def test_whoever_is_asked_to_stop_waits_for_no_slot() -> None:
    def stop() -> None:
        raise RunStoppedError

    @task
    def wait_for_slot() -> None:
        with server_slot(stop):
            raise AssertionError("it was not free")

    with limit_of(1), concurrency(limit_name()):
        state = wait_for_slot(return_state=True)
    with pytest.raises(RunStoppedError):
        state.result()
