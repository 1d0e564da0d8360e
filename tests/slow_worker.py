"""``stylebatch run`` as a process that is held up at will and writes down what it wrote where.

Usage: slow_worker.py JOB.yaml LOG.jsonl together|hang. ``together`` holds its first pictures back
until another process has come as far; ``hang`` writes one picture and never gets to another.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

from deployments.requests import build_job
from deployments.running import run_job
from stylecore.batch.store import Store

WAIT_S = 100
_create_once = Store.create_once


def main(job: Path, log: Path, how: str) -> int:
    """Run the job and return its exit code."""
    pictures = itertools.count()

    def create_once(store: Store, uri: str, data: bytes, *more: str) -> bool:
        if "/images/" in uri:
            hold_up(how, log, next(pictures))
        created = _create_once(store, uri, data, *more)
        for folder, kind in (("/images/", "picture"), ("/results/", "results")):
            if created and folder in uri:
                note(log, kind, uri)
        return created

    Store.create_once = create_once  # type: ignore[method-assign]
    return run_job(build_job(job, {}, []))


def hold_up(how: str, log: Path, number: int) -> None:
    """Wait before a picture is written."""
    if number == 0:
        note(log, "begun", "")
    deadline = time.monotonic() + WAIT_S
    while (how == "hang" and number > 0) or (how == "together" and num_begun(log) < 2):
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came")
        time.sleep(0.05)


def num_begun(log: Path) -> int:
    """How many processes have a picture to write."""
    return sum(json.loads(line)["kind"] == "begun" for line in log.read_text().splitlines())


def note(log: Path, kind: str, uri: str) -> None:
    """Add a line in one write, so that those of several processes do not mix."""
    line = json.dumps({"pid": os.getpid(), "kind": kind, "uri": uri}) + "\n"
    with log.open("a") as file:
        file.write(line)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
