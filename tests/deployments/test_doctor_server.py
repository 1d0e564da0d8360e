"""What ``doctor`` says of a server: who gets in, its settings, its clock, its limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployments.doctor_server import (
    examine_access,
    examine_server,
    examine_settings,
    examine_skew,
    examine_slots,
)

LEASES = "prefect.server.concurrency.lease_storage"
GOOD: dict[str, Any] = {
    "server": {
        "analytics_enabled": False,
        "services": {
            "task_run_recorder": {"read_batch_size": 200, "batch_size": 200, "flush_interval": 1}
        },
        "concurrency": {"lease_storage": f"{LEASES}.filesystem"},
    }
}


@pytest.mark.parametrize(
    ("url", "is_open", "expected"),
    [
        ("http://127.0.0.1:4200/api", False, ["ok"]),
        ("http://127.0.0.1:4200/api", True, ["ADVICE"]),
        ("http://[::1]:4200/api", True, ["ADVICE"]),
        ("http://localhost/api", True, ["ADVICE"]),
        ("http://10.0.0.7:4200/api", True, ["MISSING", "ADVICE"]),
        ("http://localhost.example/api", True, ["MISSING", "ADVICE"]),
        ("https://prefect.example/api", True, ["MISSING"]),
        ("http://prefect.example/api", False, ["ok", "ADVICE"]),
        ("https://prefect.example/api", False, ["ok"]),
    ],
)
def test_an_open_door_is_told_and_one_to_the_network_is_a_fault(
    url: str, is_open: bool, expected: list[str]
) -> None:
    findings = list(examine_access(url, is_open=is_open))
    assert [finding.state for finding in findings] == expected
    if expected != ["ok"]:
        assert "PREFECT_SERVER_API_AUTH_STRING" in findings[0].text or "TLS" in findings[-1].text


def test_settings_that_are_well_are_well() -> None:
    assert {finding.state for finding in examine_settings(GOOD)} == {"ok"}


@pytest.mark.parametrize(
    ("section", "changed", "what", "advice"),
    [
        ((), {"analytics_enabled": True}, "telemetry", "PREFECT_SERVER_ANALYTICS_ENABLED=false"),
        (("services", "task_run_recorder"), {"read_batch_size": 1}, "recorder", "operations.md"),
        (
            ("concurrency",),
            {"lease_storage": f"{LEASES}.memory"},
            "leases",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        ),
    ],
)
def test_a_setting_that_costs_something_is_told_with_what_to_do(
    section: tuple[str, ...], changed: dict[str, Any], what: str, advice: str
) -> None:
    settings = json.loads(json.dumps(GOOD))
    found = settings["server"]
    for name in section:
        found = found[name]
    found.update(changed)
    (finding,) = [one for one in examine_settings(settings) if one.state != "ok"]
    assert (finding.what, finding.state) == (what, "ADVICE")
    assert advice in finding.text


@pytest.mark.parametrize("settings", [{}, {"server": None}, {"server": []}])
def test_a_server_that_does_not_tell_its_settings_is_not_judged(settings: dict[str, Any]) -> None:
    assert list(examine_settings(settings)) == []


def test_clocks_may_differ_a_little() -> None:
    assert examine_skew(-29, "the server's").state == "ok"
    late = examine_skew(-90, "the server's")
    assert (late.state, late.text.split(":")[0]) == (
        "ADVICE",
        "this machine is 90 s behind the server's clock",
    )
    assert "ahead of the store's clock" in examine_skew(3600, "the store's").text


@pytest.mark.parametrize(("slots", "state"), [(2, "ok"), (None, "ADVICE"), (4, "ADVICE")])
def test_the_limit_of_the_devices_is_as_many_as_there_are(slots: int | None, state: str) -> None:
    finding = examine_slots("gpu:here", slots, 2)
    assert finding.state == state
    assert state == "ok" or "stylebatch deploy" in finding.text


class Open(BaseHTTPRequestHandler):
    """A server that lets anybody in and tells bad settings."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        told = {"server": {"analytics_enabled": True}}
        self.wfile.write(json.dumps(told if self.path.endswith("/settings") else "3.8").encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_open_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Open) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_all_of_it_is_asked_of_the_server_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with run_open_server() as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        found = [(finding.what, finding.state) for finding in examine_server()]
    assert found[:4] == [
        ("server", "ok"),
        ("access", "ADVICE"),
        ("telemetry", "ADVICE"),  # of this machine's worker
        ("telemetry", "ADVICE"),  # of the server
    ]
    assert ("clock", "ok") in found
    assert "heartbeat" in dict(found)
