"""The command line with odd habits, for tests of what processes do to each other.

Usage: odd_stylebatch.py HABITS ARGUMENT...

HABITS is a JSON object:
    seconds   that every picture takes to be written
    quick     number of pictures, the first ones, that are written at once
    together  number of processes that must have come to their first picture, before it is written
    machine   name of the machine that the process believes to be on
    salt      added to every picture's bytes, as another device rounds otherwise
    log       file to which it adds a line for every picture and results file that it wrote
"""

import itertools
import json
import os
import socket
import sys
import time
from typing import Any

from deployments.cli import main
from stylecore.batch import processes
from stylecore.batch.store import Store
from stylecore.images import codec  # not from tasks: they bring Prefect before it is prepared

_write_bytes, _create_once = Store.write_bytes, Store.create_once
_encode_image = codec.encode_image
_pictures = itertools.count()
HABITS: dict[str, Any] = json.loads(sys.argv.pop(1))


def _write_slowly(store: Store, uri: str, data: bytes, content_type: str | None = None) -> None:
    _delay(uri)
    _write_bytes(store, uri, data, content_type)
    _note(uri)


def _create_slowly(store: Store, uri: str, data: bytes, *words: Any) -> bool:
    _delay(uri)
    created = _create_once(store, uri, data, *words)
    if created:
        _note(uri)
    return created


def _delay(uri: str) -> None:
    if "/images/" not in uri:
        return
    number = next(_pictures)
    if number == 0:
        _note_as("begun", uri)
    while "together" in HABITS and _num_begun() < HABITS["together"]:
        time.sleep(0.05)
    if number >= HABITS.get("quick", 0):
        time.sleep(HABITS.get("seconds", 0.0))


def _num_begun() -> int:
    with open(HABITS["log"]) as file:
        return sum(json.loads(line)["kind"] == "begun" for line in file)


def _note(uri: str) -> None:
    for part, kind in {"/images/": "picture", "/results/": "results"}.items():
        if part in uri:
            _note_as(kind, uri)


def _note_as(kind: str, uri: str) -> None:
    """Add a line in one write, so that those of several processes do not mix."""
    if "log" in HABITS:
        line = json.dumps({"pid": os.getpid(), "kind": kind, "uri": uri}) + "\n"
        with open(HABITS["log"], "a") as file:
            file.write(line)


def _encode_with_salt(*arguments: Any) -> bytes:
    return _encode_image(*arguments) + HABITS.get("salt", "").encode()


if __name__ == "__main__":
    Store.write_bytes, Store.create_once = _write_slowly, _create_slowly  # type: ignore[method-assign]
    codec.encode_image = _encode_with_salt
    if "machine" in HABITS:
        processes._machine = lambda: HABITS["machine"]
        socket.gethostname = lambda: HABITS["machine"]
    main()
