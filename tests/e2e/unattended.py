"""A Prefect server with a worker and somebody who is told, for tests of what happens by itself."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from command_line import Answer, clean_environment, run_stylebatch
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_URL, temporary_settings
from servers import stop

PATIENCE_S = 300  # everything here takes seconds; machines that do other things too take longer


@dataclass
class Listener:
    """Receives what a custom webhook sends."""

    url: str
    told: list[dict[str, str]] = field(default_factory=list)

    def subjects(self) -> list[str]:
        """What it was told, in short, in order."""
        return [message["subject"] for message in self.told]

    def body(self, subject: str) -> str:
        """The text below the only such subject."""
        (found,) = [one["body"] for one in self.told if one["subject"].startswith(subject)]
        return found


@contextmanager
def run_listener() -> Iterator[Listener]:
    """Listen on a free port of the loopback."""
    told: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the screen of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Listener(f"http://127.0.0.1:{server.server_port}/", told)
        server.shutdown()


@dataclass(frozen=True)
class Unattended:
    """A server, a folder next to it, and whoever is told."""

    url: str
    home: Path
    listener: Listener

    def deploy(self, *options: str) -> Answer:
        """Register; one device, so that nothing looks for more."""
        words = ("deploy", "--gpus", "here=1", *options)
        answer = run_stylebatch(
            *words, home=self.home, environment={"PREFECT_API_URL": self.url}, timeout_s=PATIENCE_S
        )
        assert answer.code == 0, answer
        return answer

    def save_block(self) -> None:
        """A webhook block ``custom-webhook/ops`` that tells the listener."""
        text = {"subject": "{{subject}}", "body": "{{body}}"}
        with temporary_settings({PREFECT_API_URL: self.url}):
            block = CustomWebhookNotificationBlock(
                name="ops", url=self.listener.url, json_data=text
            )
            block.save("ops", overwrite=True)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker of the pool."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "stylebatch"]
        with (self.home / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=clean_environment(self.home, {"PREFECT_API_URL": self.url}),
            )
        try:
            yield
        finally:
            stop(process)
