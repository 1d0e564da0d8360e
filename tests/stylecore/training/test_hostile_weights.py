"""Weights, refiners and checkpoints of whoever can write to the bucket: read as numbers, or not."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reliability import See
from safetensors.torch import save
from toy_game import loop_of

from stylecore.errors import JobError
from stylecore.perception.weights import load_weights
from stylecore.refine.files import RefinerCard, load_refiner, save_refiner
from stylecore.refine.networks import Refiner
from stylecore.training.checkpoint import Progress, restore_checkpoint, save_checkpoint

Reader = Callable[[bytes], object]
READERS: dict[str, Reader] = {
    "weights of the network": lambda data: load_weights("vgg16", data),
    "refiner": lambda data: load_refiner(data, "refiner.safetensors"),
    "checkpoint": lambda data: restore_checkpoint(loop_of(), data, {}),
}
TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
# Reads one file as each kind, and prints by how many MB the peak of memory rose.
MEASURE = """
import re, sys
from pathlib import Path
from stylecore.errors import JobError
from stylecore.perception.weights import load_weights
from stylecore.refine.files import load_refiner

def memory(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

data = sys.stdin.buffer.read()
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
refused = 0
for read in (lambda: load_weights("vgg16", data), lambda: load_refiner(data, "file")):
    try:
        read()
    except JobError:
        refused += 1
print(refused, memory("VmHWM") - before)
"""


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def raw(header: object, body: bytes = bytes(4), num_bytes: int | None = None) -> bytes:
    """A safetensors file written by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if num_bytes is None else num_bytes) + text + body


def torch_file(thing: object, is_zip: bool) -> bytes:
    sink = io.BytesIO()
    torch.save(thing, sink, _use_new_zipfile_serialization=is_zip)
    return sink.getvalue()


def zip_bomb() -> bytes:
    """A file as torch.save writes it, whose one record is a gigabyte of zeros."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": 1}))
        with archive.open("archive/data/0", "w", force_zip64=True) as record:
            for _ in range(1024):
                record.write(bytes(2**20))
    return sink.getvalue()


def card(**fields: Any) -> dict[str, str]:
    return {"card": RefinerCard(version="1", **fields).model_dump_json()}


def small_refiner(**tensors: torch.Tensor) -> bytes:
    return save({**Refiner(4, 1).state_dict(), **tensors}, card(width=4, num_blocks=1))


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a header of 100 GB": raw({}, num_bytes=10**11),
    "a header without end": raw({}, num_bytes=2**64 - 1),
    "a header that is nested deeply": raw(b'{"a":' + b"[" * 100_000),
    "metadata that are null": raw({"__metadata__": None}, b""),
    "a type that torch lacks": raw({"a": {**TENSOR, "dtype": "F4", "shape": [8]}}),
    "more dimensions than torch has": raw({"a": {**TENSOR, "shape": [1] * 2000}}),
    "a shape beyond all memory": raw({"a": {**TENSOR, "shape": [2**63, 4]}}),
    "tensors on top of each other": raw({"a": TENSOR, "b": TENSOR}),
    "a negative size": raw({"a": {**TENSOR, "shape": [-1]}}),
    "a truncated file": small_refiner()[:-100],
    "weights that are NaN": small_refiner(**{"leave.bias": torch.tensor([torch.nan])}),
    "weights in eight bits": raw({"a": {**TENSOR, "dtype": "F8_E5M2", "shape": [4]}}, b"\xff" * 4),
    "complex weights": raw({"a": {**TENSOR, "dtype": "C64", "data_offsets": [0, 8]}}, bytes(8)),
    "another network's weights": save({"features.0.weight": torch.zeros(8, 3, 3, 3)}),
    "a card that announces gigabytes": save(
        {"enter.weight": torch.zeros(1)}, card(width=256, num_blocks=32)
    ),
    "a web page": b"<!doctype html><p>404",
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_words(kind: str, name: str) -> None:
    with pytest.raises(JobError) as caught:
        READERS[kind](HOSTILE[name])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.reliability
@pytest.mark.parametrize("kind", READERS)
def test_no_code_in_a_pickle_ever_runs(kind: str, tmp_path: Path, seen: See) -> None:
    made = tmp_path / "made-by-a-pickle"
    pickles = [pickle.dumps(Payload(made), protocol) for protocol in range(6)]
    pickles += [
        torch_file({"features.0.weight": Payload(made)}, is_zip) for is_zip in (True, False)
    ]
    started = time.perf_counter()
    for data in pickles:
        with pytest.raises(JobError, match="must be a safetensors file, and this is"):
            READERS[kind](data)
        assert not made.exists()
    seconds = time.perf_counter() - started
    pickle.loads(pickles[-3])  # the payload does work
    assert made.exists()
    seen(
        f"a pickle with code in place of {kind}",
        "refused with how to convert it; no code runs",
        f"{len(pickles)} kinds of file in {seconds:.2f} s",
    )


@pytest.mark.slow
@pytest.mark.reliability
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a zip bomb of 1 GB as .pt", zip_bomb),
        ("a card of 2.5 GB of weights", lambda: HOSTILE["a card that announces gigabytes"]),
        ("a header of 100 GB", lambda: HOSTILE["a header of 100 GB"]),
    ],
    ids=["zip", "card", "header"],
)
def test_a_small_file_that_announces_gigabytes_takes_no_memory(
    name: str, make: Callable[[], bytes], seen: See
) -> None:
    data, command = make(), [sys.executable, "-c", MEASURE]
    run = subprocess.run(command, input=data, check=True, capture_output=True)
    refused, megabytes = run.stdout.split()
    assert refused == b"2"
    assert float(megabytes) < 100
    seen(f"{name}, in {len(data) / 1e6:.1f} MB", "refused", f"{float(megabytes):.0f} MB of memory")


def test_a_refiner_on_the_skeleton_of_its_card_is_the_one_that_was_saved() -> None:
    saved = Refiner(4, 1)
    torch.nn.init.normal_(saved.leave.weight)
    data = save_refiner(saved, RefinerCard(version="1", width=4, num_blocks=1))
    found, _ = load_refiner(data, "here")
    pictures = torch.rand(2, 1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(found(*pictures), saved(*pictures))


@pytest.mark.parametrize("index", [0, 99, -1])
def test_a_checkpoint_with_the_state_of_other_parameters_is_refused(index: int) -> None:
    loop = loop_of()
    loop.advance()
    data = save_checkpoint(loop, Progress(), {})
    restore_checkpoint(loop_of(), data, {})
    from stylecore.perception.tensor_files import read_tensors, write_tensors

    tensors, header = read_tensors(data, "here")
    wrong = torch.zeros(3, 3)
    changed = {**tensors, f"generator_optimizer.{index}.exp_avg": wrong}
    with pytest.raises(JobError, match="not of these networks"):
        restore_checkpoint(loop_of(), write_tensors(changed, header), {})
