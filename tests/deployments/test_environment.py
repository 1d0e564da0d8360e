"""What is asked of a Prefect server before Prefect is imported."""

import base64
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import run_stylebatch

from deployments.environment import check_server
from stylecore.errors import JobError

RIGHT = "night:secret"


class Guarded(BaseHTTPRequestHandler):
    """Answers as Prefect's server does: to all about its health, else to those who may ask."""

    def do_GET(self) -> None:
        right = f"Basic {base64.b64encode(RIGHT.encode()).decode()}"
        is_open = self.path.endswith("/health") or self.headers["Authorization"] == right
        self.send_response(200 if is_open else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def guarded_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def server_line(home: Path, environment: dict[str, str]) -> str:
    """What ``doctor`` says of the server."""
    lines = run_stylebatch("doctor", home=home, environment=environment).lines
    (line,) = [line for line in lines if " server " in line]
    return line


def test_a_server_is_well_only_if_it_lets_us_in(guarded_url: str, tmp_path: Path) -> None:
    url = {"PREFECT_API_URL": guarded_url}
    refused = (
        f"MISSING  server    PREFECT_API_URL={guarded_url}: the Prefect server does not let us"
    )
    assert server_line(tmp_path, url).startswith(refused)
    assert server_line(tmp_path, {**url, "PREFECT_API_AUTH_STRING": "x"}).startswith(refused)
    assert server_line(tmp_path, {**url, "PREFECT_API_KEY": "x"}).startswith(refused)
    line = server_line(tmp_path, {**url, "PREFECT_API_AUTH_STRING": RIGHT})
    assert line == f"ok       server    {guarded_url} answers"


@pytest.mark.parametrize("host", ["127.0.0.1:9", "host", "host:4200"])
def test_credentials_in_the_servers_address_are_refused_and_not_repeated(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://bob:hunter2@{host}/api")
    with pytest.raises(JobError, match="PREFECT_API_AUTH_STRING is for them") as refused:
        check_server()
    assert "hunter2" not in str(refused.value)


def test_what_speaks_no_http_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.getsockname()[1]}/api")

        def answer() -> None:
            caller, _ = other.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(b"SSH-2.0 hello\r\n")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(answer)
            with pytest.raises(JobError, match="does not answer"):
                check_server()
