"""How many devices this host is said to have."""

import socket
import sys
from pathlib import Path

import pytest
import torch

from deployments import hosts


def test_a_host_without_a_driver_has_no_device_and_nothing_is_started_to_count_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "_DRIVERS", ("/dev/none",))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert hosts.devices_here() == {}


def test_a_host_with_a_driver_has_as_many_as_torch_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_DRIVERS", (str(tmp_path),))
    counted = torch.cuda.device_count()
    assert hosts.devices_here() == ({socket.gethostname(): counted} if counted else {})


def test_a_host_with_devices_is_named_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_count_devices", lambda: 4)
    assert hosts.devices_here() == {socket.gethostname(): 4}
