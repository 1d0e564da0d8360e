"""Many inputs through one check: no crash, no hang, no memory that is not given back.

``--fuzz-inputs N`` says how many: few in ``make test``, 100,000 in ``make test-all``.
"""

import faulthandler
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
_HANG_S: Final = 240.0  # for a seed's inputs; then the process ends, and shows where it hung
_INPUTS_OF_SEED: Final = 50  # hypothesis itself takes longer than most checks
_EDGES: Final = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000)


@dataclass
class Fuzzed:
    """What a fuzzing took."""

    inputs: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    megabytes: float = 0.0

    def __str__(self) -> str:
        rate = self.inputs / self.seconds
        return (
            f"{self.inputs:,} inputs in {self.seconds:.0f} s, {rate:.0f} a second; "
            f"slowest {self.slowest_s:.2f} s, at most {self.megabytes:.0f} MB more memory"
        )


def fuzz(inputs: int, make: Callable[[Random], T], check: Callable[[T], None]) -> Fuzzed:
    """Check as many inputs, made from seeds that hypothesis draws; the failing one is shown."""
    done = Fuzzed()

    @settings(
        max_examples=-(-inputs // _INPUTS_OF_SEED),
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1))
    def attempt(seed: int) -> None:
        faulthandler.dump_traceback_later(_HANG_S, exit=True)
        chance = Random(seed)
        for _ in range(_INPUTS_OF_SEED):
            _check_one(make(chance), check, done)

    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    started = time.perf_counter()
    try:
        attempt()
    finally:
        faulthandler.cancel_dump_traceback_later()
    done.seconds = time.perf_counter() - started
    done.megabytes = memory_mb("VmHWM") - before
    assert done.inputs >= inputs
    return done


def _check_one(example: T, check: Callable[[T], None], done: Fuzzed) -> None:
    started = time.perf_counter()
    try:
        check(example)
    except BaseException as error:
        error.add_note(f"the input: {example!r}")
        raise
    done.slowest_s = max(done.slowest_s, time.perf_counter() - started)
    done.inputs += 1


def refusal(kind: type[Exception], call: Callable[[], object]) -> str | None:
    """The words of an error of this kind, None where there was none; any other is a crash."""
    try:
        call()
    except kind as error:
        return str(error)
    return None


def memory_mb(figure: str) -> float:
    """What the system says of this process' memory: ``VmRSS`` now, ``VmHWM`` at its peak."""
    found = re.search(figure + r":\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def mutate(
    chance: Random, bases: Sequence[bytes], tokens: Sequence[bytes], most_edits: int = 5
) -> bytes:
    """A real file with bytes changed, removed, doubled, and tokens of its format put in."""
    data = bytearray(chance.choice(bases))
    for _ in range(chance.randint(0, most_edits)):
        _edit(data, chance, bases, tokens)
    return bytes(data)


def _edit(data: bytearray, chance: Random, bases: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    """Change ``data`` in one place, in one of seven ways."""
    at, kind = chance.randint(0, len(data)), chance.randrange(7)
    if kind == 0:
        data[at : at + 1] = chance.randbytes(1)
    elif kind == 1:
        del data[at : at + chance.randint(1, 64)]
    elif kind == 2:
        data[at:at] = chance.choice(tokens)
    elif kind == 3:
        data[at : at + 1] = bytes([data[at] ^ (1 << chance.randrange(8))]) if data[at:] else b""
    elif kind == 4:
        data[at:at] = data[chance.randint(0, len(data)) :][:64]
    elif kind == 5:
        data[at : at + 4] = chance.choice(_EDGES).to_bytes(4, "big")
    else:
        data[at:] = chance.choice(bases)[at:]
