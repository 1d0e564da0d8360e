"""Devices are held by one shard at a time, by whatever name they were asked for."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stylecore.errors import RunStoppedError
from tasks import devices
from tasks.devices import device_slot


@pytest.fixture
def one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_devices", lambda wanted: ("cuda:0",))


@pytest.mark.usefixtures("one_card")
@pytest.mark.parametrize("other", ["auto", "cuda", "cuda:0"])
def test_a_card_is_one_card_under_all_its_names(other: str) -> None:
    got_it = threading.Event()

    def ask() -> None:
        with device_slot(other):
            got_it.set()

    with device_slot("cuda:0"):
        thread = threading.Thread(target=ask)
        thread.start()
        assert not got_it.wait(0.2)
    assert got_it.wait(10)
    thread.join()


def test_two_cards_serve_two_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_devices", lambda wanted: ("cuda:0", "cuda:1"))
    with device_slot("auto") as first, device_slot("auto") as second:
        assert {first, second} == {"cuda:0", "cuda:1"}


def test_a_device_comes_back_when_its_shard_breaks_down() -> None:
    with pytest.raises(RuntimeError), device_slot("cpu"):
        raise RuntimeError
    with device_slot("cpu") as device:
        assert device == "cpu"


def test_cuda_does_not_silently_become_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    find = devices._devices.__wrapped__
    assert (find("auto"), find("cuda")) == (("cpu",), ("cuda:0",))


HOLD = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from tasks.devices import device_slot
with device_slot("cuda:7"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_card_is_held_against_other_processes_until_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    waits: list[bool] = []

    def give_up() -> None:
        waits.append(other.poll() is None)
        other.kill()

    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with device_slot("cuda:7", give_up) as device:
            assert device == "cuda:7"
    assert waits[0]


def test_whoever_waits_for_a_device_can_be_stopped() -> None:
    def stop() -> None:
        raise RunStoppedError

    with device_slot("cpu"), pytest.raises(RunStoppedError), device_slot("cpu", stop):
        pass
