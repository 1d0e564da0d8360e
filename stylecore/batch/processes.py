"""Which process on which machine: a name that others on the same machine can tell to be dead."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

from stylecore.settings import FrozenModel

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


class ProcessName(FrozenModel):
    """A process among all of all machines.

    Attributes:
        host: what people call the machine.
        machine: changes with every start of the machine, and differs between containers, whose
            process numbers are their own; empty where that cannot be known.
        pid: number of the process there.
        started: when it was started, in the system's ticks, since numbers are used again; None
            where that cannot be known.
    """

    host: str
    machine: str
    pid: int
    started: int | None = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_dead(self) -> bool:
        """Whether this machine knows that the process has ended; of others nothing is known."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return self.started is not None and _start_ticks(self.pid) != self.started


def this_process() -> ProcessName:
    """The name of the process that asks."""
    pid = os.getpid()
    return ProcessName(
        host=socket.gethostname(), machine=_machine(), pid=pid, started=_start_ticks(pid)
    )


@lru_cache(maxsize=1)
def _machine() -> str:
    try:
        return f"{_BOOT_ID.read_text().strip()} {os.readlink(_NAMESPACE)}"
    except OSError:  # not Linux: a dead process' claim is found stale instead
        return ""


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat (proc(5)); None for a process that has ended, zombies too."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field, the command, may itself contain spaces and brackets.
    state, *fields = status.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
