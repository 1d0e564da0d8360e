"""The receiver of upload notifications: a small HTTP server that answers at once.

    POST /events   Authorization: Bearer <token>; at most 256 KB of JSON, 100 a second after a burst
    GET  /health   whether it is there

A notification only says "go and look": nothing that it names is fetched. So what is refused for
its rate rings too, and a burst of any size is one sweep. A connection gets ten seconds in all, and
64 are open at once: the oldest makes place for the next one, since honest ones take milliseconds.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from deployments.events import uploads_in_inbox
from deployments.rate_limit import TokenBucket

MAX_BODY_BYTES: Final = 256 * 1024
MAX_CONNECTIONS: Final = 64
EVENTS_PER_S: Final = 100.0
EVENTS_BURST: Final = 1000
_REQUEST_S: Final = 10.0  # for all of a request, however it drips


class Receiver(ThreadingHTTPServer):
    """Listens on the loopback.

    Args:
        port: to listen on; 0 takes a free one.
        token: that callers have to show.
        inbox_uri: what notifications have to be about.
        ring: called for each notification of an upload; must return at once.
    """

    daemon_threads = True
    request_queue_size = 128  # of a burst; who does not fit in waits a second or more

    def __init__(self, port: int, token: str, inbox_uri: str, ring: Callable[[], None]) -> None:
        self.token = token
        self.inbox_uri = inbox_uri
        self.ring = ring
        self.events = TokenBucket(EVENTS_PER_S, EVENTS_BURST)
        self._open: dict[socket.socket, float] = {}  # since when, the oldest first
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, in a thread of its own."""
        with self._lock:
            if len(self._open) >= MAX_CONNECTIONS:
                self._hang_up(next(iter(self._open)))
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Hang up on who takes too long; called twice a second."""
        latest = time.monotonic() - _REQUEST_S
        with self._lock:
            for request in [one for one, since in self._open.items() if since < latest]:
                self._hang_up(request)

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def _hang_up(self, request: socket.socket) -> None:
        """Its thread, which may wait for it, reads the end of the connection, and ends."""
        self._open.pop(request, None)
        with suppress(OSError):  # it is gone already
            request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller that did not wait for the answer: it was heard."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    timeout = _REQUEST_S  # of a connection on which nothing comes
    server_version = "stylebatch"
    sys_version = ""

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        is_health = self.path == "/health"
        self._answer(HTTPStatus.OK if is_health else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        refusal = self._refusal()
        if refusal is HTTPStatus.TOO_MANY_REQUESTS:
            self.server.ring()  # unread, it may be of the last upload of a burst
        if refusal is not None:
            self.close_connection = True  # the body is not read
            self._answer(refusal)
            return
        try:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except (ValueError, RecursionError):
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        uploads = uploads_in_inbox(payload, self.server.inbox_uri)
        if uploads:
            self.server.ring()
        self._answer(HTTPStatus.ACCEPTED, uploads=len(uploads))

    def _refusal(self) -> HTTPStatus | None:
        """Why the request is refused before its body is read."""
        if self.path != "/events":
            return HTTPStatus.NOT_FOUND
        # Headers come as Latin-1, whatever they hold.
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            return HTTPStatus.UNAUTHORIZED
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return HTTPStatus.LENGTH_REQUIRED
        too_large = len(length) > 9 or int(length) > MAX_BODY_BYTES
        if too_large:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return None if self.server.events.take() else HTTPStatus.TOO_MANY_REQUESTS

    def _answer(self, status: HTTPStatus, **values: Any) -> None:
        body = json.dumps({"status": status.phrase, **values}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: a line for each of a burst's events is no help to anybody."""
