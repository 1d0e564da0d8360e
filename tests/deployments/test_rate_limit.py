"""The token bucket: a burst at first, then a steady rate."""

import threading

from deployments.rate_limit import TokenBucket


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_as_many_as_come_back() -> None:
    clock = Clock()
    bucket = TokenBucket(2, 5, clock)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.now = 1000.0
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False], "it holds no more"


def test_many_threads_get_no_more_than_there_is() -> None:
    bucket, taken = TokenBucket(2, 500, Clock()), []

    def take() -> None:
        taken.extend(bucket.take() for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), sum(taken)) == (1600, 500)
