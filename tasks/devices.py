"""This machine's devices, handed out one at a time: CUDA devices by index, the CPU as one slot.

A CUDA device is held against all processes of the machine's user, by a lock on a file that ends
with its process; the CPU against the threads of this process only.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_LOOK_EVERY_S: Final = 0.2
_lock = threading.Lock()
_taken: dict[str, int] = {}  # the descriptors of locks; NO_LOCK for the CPU
_NO_LOCK: Final = -1


def _never() -> None:
    """Nothing to stop for."""


@contextmanager
def device_slot(wanted: str, check_stop: Callable[[], None] = _never) -> Iterator[str]:
    """Wait for a device and hold it.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` (any) or ``cuda:N``.
        check_stop: called while waiting; what it raises ends that.

    Yields:
        ``cpu`` or ``cuda:N``.
    """
    device = _take(_devices(wanted), check_stop)
    try:
        yield device
    finally:
        with _lock:
            _unlock(_taken.pop(device))


def num_devices(wanted: str) -> int:
    """How many shards can compute at once on this machine."""
    return len(_devices(wanted))


def uses_gpu(wanted: str) -> bool:
    """Whether a shard computes on a CUDA device of this machine."""
    return _devices(wanted) != ("cpu",)


def num_gpus() -> int:
    """How many CUDA devices this machine has."""
    import torch

    return torch.cuda.device_count()


def _take(devices: tuple[str, ...], check_stop: Callable[[], None]) -> str:
    """The first of them that is free, whoever asks for it by whatever name."""
    while True:
        with _lock:
            for device in devices:
                if device in _taken:
                    continue
                descriptor = _lock_file(device)
                if descriptor is not None:
                    _taken[device] = descriptor
                    return device
        check_stop()
        time.sleep(_LOOK_EVERY_S)


def _lock_file(device: str) -> int | None:
    """A descriptor that holds the device; None where another process has it."""
    if device == "cpu":
        return _NO_LOCK
    name = _identity(device)
    folder = Path(tempfile.gettempdir(), f"stylebatch-devices-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / name, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _identity(device: str) -> str:
    """A name of the card that all processes agree on: each may see cards of its own as number 0."""
    import torch

    if torch.cuda.device_count() == 0:
        return device.replace(":", "-")  # there is none: building the stylizer says so
    return str(torch.cuda.get_device_properties(device).uuid)


def _unlock(descriptor: int) -> None:
    if descriptor != _NO_LOCK:
        os.close(descriptor)


@cache
def _devices(wanted: str) -> tuple[str, ...]:
    if wanted not in ("auto", "cuda"):
        return (wanted,)
    found = tuple(f"cuda:{index}" for index in range(num_gpus()))
    # Where cuda was asked for and is not here, building the stylizer says so.
    return found or (("cpu",) if wanted == "auto" else ("cuda:0",))
