"""What is only shown waits for no server that is away, and costs no work."""

import logging
from types import SimpleNamespace
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

from tasks import server_calls
from tasks.server_calls import ProgressBar, shown_if_possible

URL = "http://127.0.0.1:1/api/artifacts"


class Server:
    """Takes artifacts, unless it is away; remembers how it was asked."""

    def __init__(self) -> None:
        self.fault: httpx.HTTPError | None = None
        self.calls: list[str] = []
        self.patience: set[int] = set()

    def create(self, _percent: float, **_: str) -> UUID:
        self._take("create")
        return uuid4()

    def update(self, _artifact: UUID, **_: object) -> None:
        self._take("update")

    def _take(self, call: str) -> None:
        self.calls.append(call)
        self.patience.add(PREFECT_CLIENT_MAX_RETRIES.value())
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(server_calls, "create_progress_artifact", server.create)
    monkeypatch.setattr(server_calls, "update_progress_artifact", server.update)
    monkeypatch.setattr(server_calls, "get_run_logger", logging.getLogger)
    return server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, and how long every call of the server takes: it is read before and after."""
    now = [100.0]

    def tick() -> float:
        now[0] += 2.0
        return now[0]

    monkeypatch.setattr(server_calls, "time", SimpleNamespace(monotonic=tick))
    return now


def test_a_server_that_is_away_is_asked_once_and_then_left_alone_for_a_while(
    server: Server, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    bar = ProgressBar("progress-x")
    server.fault = httpx.ConnectError("refused")
    for _ in range(3):
        bar.show(1.0, "one")
    assert (server.calls, server.patience) == (["create"], {0})
    clock[0] += 60
    bar.show(2.0, "two")
    server.fault = None
    clock[0] += 60
    bar.show(3.0, "three")
    bar.show(4.0, "four")
    assert server.calls == ["create", "create", "create", "update"]
    assert [record.message for record in caplog.records] == ["progress is not shown: refused"]


def test_a_server_that_lost_its_database_gets_a_new_bar(server: Server, clock: list[float]) -> None:
    bar = ProgressBar("progress-x")
    bar.show(1.0, "one")
    request = httpx.Request("PATCH", URL)
    server.fault = httpx.HTTPStatusError(
        "not found", request=request, response=httpx.Response(404, request=request)
    )
    bar.show(2.0, "two")
    server.fault = None
    clock[0] += 60
    bar.show(3.0, "three")
    assert server.calls == ["create", "update", "create"]


@pytest.mark.usefixtures("server")
def test_what_is_not_shown_is_told_and_costs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with shown_if_possible("the summary"):
        raise httpx.ConnectError("refused")
    assert [record.message for record in caplog.records] == ["the summary is not shown: refused"]
    with pytest.raises(ZeroDivisionError), shown_if_possible("the summary"):
        _ = 1 / 0
