"""What benchmarks have in common: the machine in words, a table, and a process that is measured."""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

STYLEBATCH = str(Path(sys.executable).with_name("stylebatch"))
_POLL_S = 0.05


@dataclass(frozen=True)
class Measured:
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    stdout: str


def measure(command: Sequence[str], environment: dict[str, str] | None = None) -> Measured:
    """Run a process to its end and take its time and its peak of resident memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    peak_kb = 0
    while process.poll() is None:
        peak_kb = max(peak_kb, _peak_kb(process.pid))
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - started
    stdout, stderr = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, peak_kb / 1000, stdout)


def _peak_kb(pid: int) -> int:
    """The process' high-water mark so far; of one that is about to end, 0."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a Markdown table, and on which machine and when it was measured."""
    lines = [f"{title} ({machine()}, {datetime.now(UTC):%Y-%m-%d})", ""]
    lines += [_line(header), _line(["---"] * len(header)), *map(_line, rows), "", ""]
    sys.stdout.write("\n".join(lines))


def machine() -> str:
    """Processor, cores and Python in a few words."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
