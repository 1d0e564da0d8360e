"""Temporary names: whose they are, and whether they were left behind by a process that was killed.

.stylebatch-<pid>-<start>-<machine>-<random>    a draft, a probe, a folder for a manifest's copy
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Final

from stylecore.batch.processes import this_process

PREFIX: Final = ".stylebatch-"
_ABANDONED_AFTER_S: Final = 3600.0  # of a process on another machine nothing else can be known
_is_ours: Final = re.compile(r"\.stylebatch-(\d+)-(\d+)-([0-9a-f]{8})-[0-9a-f]{32}").fullmatch


def temporary_name() -> str:
    """A dot-name that nobody else uses, and that tells which process does."""
    process = this_process()
    words = (process.pid, process.started or 0, _mark(process.machine), uuid.uuid4().hex)
    return PREFIX + "-".join(map(str, words))


def is_abandoned(name: str, age_s: float) -> bool:
    """Whether an object of this name is of no use to anybody any more.

    Args:
        name: without its folder.
        age_s: seconds since it was written.
    """
    found = _is_ours(name)
    if found is None:
        return False
    here = this_process()
    if found[3] != _mark(here.machine) or not here.machine:
        return age_s > _ABANDONED_AFTER_S
    started = int(found[2]) or None
    return here.model_copy(update={"pid": int(found[1]), "started": started}).is_dead()


def _mark(machine: str) -> str:
    return hashlib.sha256(machine.encode()).hexdigest()[:8]
