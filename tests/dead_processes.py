"""Claims of processes that died, and photographs that end processes."""

import json
from pathlib import Path

import pytest

from stylecore.batch.ledger import RunLedger
from stylecore.batch.processes import this_process

_POISON = """
import os, signal, sys
import stylecore.images.codec as codec

def act(pid):
    {act}

decoded = codec.decoded
def poisoned(data, uri, limits):
    if {name!r} in uri and "/in/" in uri:
        act(os.getpid())
    return decoded(data, uri, limits)
codec.decoded = poisoned
"""


def leave_dead_claim(ledger: RunLedger, shard: int = 0, number: int = 1) -> None:
    """Claim a shard as a process that has ended without a word."""
    process = this_process().model_copy(update={"pid": 2**22 + 1})
    record = {"owner": "somebody", "process": process.model_dump()}
    uri = ledger.uri("claims", f"{shard:05d}.{number}.json")
    ledger.store.create_once(uri, json.dumps(record).encode())


def poison(monkeypatch: pytest.MonkeyPatch, folder: Path, act: str, name: str = "photo02") -> None:
    """Let every process that is started from here do something at a photograph."""
    (folder / "sitecustomize.py").write_text(_POISON.format(act=act, name=name))
    monkeypatch.setenv("PYTHONPATH", str(folder))
