"""What is asked of a Prefect server before Prefect is imported."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import run_stylebatch

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
