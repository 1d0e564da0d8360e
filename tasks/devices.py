"""This machine's devices, handed out one at a time: CUDA devices by index, the CPU as one slot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_changed = threading.Condition()
_taken: set[str] = set()


@contextmanager
def device_slot(wanted: str) -> Iterator[str]:
    """Wait for a device and hold it.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` (any) or ``cuda:N``.

    Yields:
        ``cpu`` or ``cuda:N``.
    """
    device = _take(_devices(wanted))
    try:
        yield device
    finally:
        with _changed:
            _taken.discard(device)
            _changed.notify_all()


def num_devices(wanted: str) -> int:
    """How many shards can compute at once on this machine."""
    return len(_devices(wanted))


def _take(devices: tuple[str, ...]) -> str:
    """The first of them that is free, whoever asks for it by whatever name."""
    with _changed:
        _changed.wait_for(lambda: not _taken.issuperset(devices))
        device = next(device for device in devices if device not in _taken)
        _taken.add(device)
        return device


@cache
def _devices(wanted: str) -> tuple[str, ...]:
    import torch

    if wanted not in ("auto", "cuda"):
        return (wanted,)
    found = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    # Where cuda was asked for and is not here, building the stylizer says so.
    return found or (("cpu",) if wanted == "auto" else ("cuda:0",))
