"""This machine's devices, handed out one at a time: CUDA devices by index, the CPU as one slot."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def device_slot(wanted: str) -> Iterator[str]:
    """Wait for a device and hold it.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` (any) or ``cuda:N``.

    Yields:
        ``cpu`` or ``cuda:N``.
    """
    pool = _pool(wanted)
    device = pool.get()
    try:
        yield device
    finally:
        pool.put(device)


def num_devices(wanted: str) -> int:
    """How many shards can compute at once on this machine."""
    return len(_devices(wanted))


@cache
def _pool(wanted: str) -> queue.Queue[str]:
    pool: queue.Queue[str] = queue.Queue()
    for device in _devices(wanted):
        pool.put(device)
    return pool


@cache
def _devices(wanted: str) -> tuple[str, ...]:
    import torch

    if wanted not in ("auto", "cuda"):
        return (wanted,)
    found = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return found or ("cpu",)
