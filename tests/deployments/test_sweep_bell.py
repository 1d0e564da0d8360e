"""Rings become sweeps: one for a burst, and none is lost while a sweep is at work."""

import threading
from collections.abc import Callable
from queue import Empty, Queue

import pytest

from deployments.sweep_bell import SweepBell


def ring_until(answers: list[Callable[[], bool]], rings: int) -> int:
    """Ring, and let each start of a sweep answer in turn; returns the starts, when all have."""
    starts = 0
    done = threading.Event()

    def start() -> bool:
        nonlocal starts
        starts += 1
        if starts == len(answers):
            done.set()
        return answers[starts - 1]()

    bell = SweepBell(start, quiet_s=0.05)
    for _ in range(rings):
        bell.ring()
    thread = threading.Thread(target=bell.run)
    thread.start()
    assert done.wait(10)
    bell.stop()
    thread.join(10)
    assert not thread.is_alive()
    return starts


def yes() -> bool:
    return True


def busy() -> bool:
    return False


def broken() -> bool:
    raise ConnectionError("no server")


def test_a_burst_is_one_sweep_and_the_next_one_another() -> None:
    starts: Queue[None] = Queue()
    bell = SweepBell(lambda: starts.put(None) is None, quiet_s=0.02)
    thread = threading.Thread(target=bell.run)
    for _ in range(500):
        bell.ring()
    thread.start()
    starts.get(timeout=10)
    with pytest.raises(Empty):
        starts.get(timeout=0.5)
    bell.ring()
    starts.get(timeout=10)
    bell.stop()
    thread.join(10)
    assert starts.empty()


def test_a_ring_during_a_sweep_is_asked_again_until_a_sweep_starts() -> None:
    assert ring_until([busy, busy, yes], rings=1) == 3


def test_a_server_that_is_away_costs_one_ring_and_not_the_bell() -> None:
    bell_rung = threading.Event()
    answers = [broken, yes]
    starts: list[int] = []

    def start() -> bool:
        starts.append(len(starts))
        bell_rung.set()
        return answers[len(starts) - 1]()

    bell = SweepBell(start, quiet_s=0.02)
    thread = threading.Thread(target=bell.run)
    thread.start()
    bell.ring()
    assert bell_rung.wait(10)
    bell_rung.clear()
    bell.ring()
    assert bell_rung.wait(10)
    bell.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_a_bell_that_nobody_rings_can_be_stopped() -> None:
    bell = SweepBell(yes)
    thread = threading.Thread(target=bell.run)
    thread.start()
    bell.stop()
    thread.join(10)
    assert not thread.is_alive()
