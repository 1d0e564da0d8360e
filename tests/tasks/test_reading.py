"""Reading ahead: in order, by several threads, and never further than the window."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_jobs import LocalBucket

from stylecore.batch.objects import ObjectInfo
from stylecore.batch.store import Store
from tasks.reading import list_pictures, read_ahead

WINDOW = 6


def test_results_come_in_the_items_order_though_the_work_ends_in_another() -> None:
    def slow_at_even(number: int) -> int:
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number * number

    assert list(read_ahead(slow_at_even, range(30))) == [number**2 for number in range(30)]


def test_nothing_is_read_beyond_the_window() -> None:
    started: list[int] = []
    results = read_ahead(lambda number: started.append(number) or number, iter(range(1000)))
    for taken in range(1, 10):
        next(results)
        time.sleep(0.02)
        assert len(started) <= taken + WINDOW
    results.close()
    assert len(started) < 20


def test_several_items_are_read_at_once() -> None:
    meeting = threading.Barrier(3, timeout=10)  # breaks unless three are there together
    assert list(read_ahead(lambda number: meeting.wait() * 0 + number, range(6))) == [*range(6)]


def test_no_items_are_no_results() -> None:
    assert list(read_ahead(str, [])) == []


def test_an_error_of_the_work_is_raised_in_its_place() -> None:
    results = read_ahead(lambda number: 1 // (number - 3), range(6))
    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_shards_of_one_session_share_one_listing_of_a_style(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(2)
    folder, listings = str(bucket.photographs), []

    def list_slowly(store: Store, uri: str) -> Iterator[ObjectInfo]:
        listings.append(uri)
        time.sleep(0.1)
        return original(store, uri)

    original = Store.list_objects
    monkeypatch.setattr(Store, "list_objects", list_slowly)
    store, today = Store(), f"today {folder}"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: list_pictures(store, folder, today), range(4)))
    assert listings == [f"{folder}/"]
    assert [names.keys() for names in found] == [{"photo00.jpg", "photo01.jpg"}] * 4
    list_pictures(store, folder, f"tomorrow {folder}")
    assert len(listings) == 2
