"""A proxy on loopback in front of a real S3 server, which does to chosen requests what networks do.

Requests pass unchanged, the Host header too, so that their signatures hold. A rule names requests
by method and by a pattern of their unquoted path and query, and what happens to the first few of
them, or to all.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote, urlsplit

from servers import S3Server

FOR_EVER: Final = 10**9
_HOP_BY_HOP: Final = ("connection", "keep-alive", "expect", "transfer-encoding")
_UPSTREAM_TIMEOUT_S: Final = 60


@dataclass
class Rule:
    """What happens to which requests; ``hits`` counts those it has happened to."""

    method: str
    pattern: str
    fault: Fault
    times: int
    hits: int = 0

    def takes(self, method: str, path: str) -> bool:
        """Whether a request is one of them, and not one too many."""
        is_meant = re.fullmatch(self.method, method) and re.search(self.pattern, path)
        return bool(is_meant) and self.hits < self.times


@dataclass(frozen=True)
class Reply:
    """What the store answered, or what it is made to answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class FaultProxy:
    """A running proxy.

    Attributes:
        s3: the server behind it, reached through it.
        requests: method and unquoted path of every request so far, in order.
        carried_out: of those that the store carried out.
        rules: those that hold now.
    """

    s3: S3Server
    requests: list[tuple[str, str]] = field(default_factory=list)
    carried_out: list[tuple[str, str]] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, method: str, pattern: str, fault: Fault, times: int = FOR_EVER) -> Rule:
        """From now on, let ``fault`` happen to requests, after the rules that were there before.

        Args:
            method: such as ``GET``, or ``GET|HEAD``.
            pattern: regular expression of a piece of the unquoted path and query.
            fault: what happens.
            times: to how many of them.
        """
        rule = Rule(method, pattern, fault, times)
        with self._lock:
            self.rules.append(rule)
        return rule

    def heal(self) -> None:
        """Forget all rules."""
        with self._lock:
            self.rules.clear()

    def fault_for(self, method: str, path: str) -> Fault:
        """What happens to a request that comes now."""
        with self._lock:
            self.requests.append((method, path))
            for rule in self.rules:
                if rule.takes(method, path):
                    rule.hits += 1
                    return rule.fault
        return pass_on

    def count(self, method: str, pattern: str) -> int:
        """How many such requests came so far, whatever became of them."""
        return len(_chosen(self.requests, method, pattern))

    def done(self, method: str, pattern: str) -> list[str]:
        """The paths of those that the store carried out."""
        return _chosen(self.carried_out, method, pattern)


def _chosen(requests: list[tuple[str, str]], method: str, pattern: str) -> list[str]:
    return [path for name, path in [*requests] if name == method and re.search(pattern, path)]


class Exchange(BaseHTTPRequestHandler):
    """One connection of a client; each request on it meets its fault."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        """Read a request and let its fault happen."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.proxy.fault_for(self.command, unquote(self.path))(self)

    def forward(self) -> Reply:
        """Let the store carry out the request."""
        connection = HTTPConnection(self.server.upstream, timeout=_UPSTREAM_TIMEOUT_S)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                connection.putheader(name, value)
        connection.endheaders(self.body)
        response = connection.getresponse()
        headers = [pair for pair in response.getheaders() if pair[0].lower() not in _HOP_BY_HOP]
        body = response.read()
        if self.command != "HEAD":
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
        connection.close()
        if response.status < 300:
            self.server.proxy.carried_out.append((self.command, unquote(self.path)))
        return Reply(response.status, tuple(headers), body)

    def answer(self, reply: Reply, length: int | None = None) -> None:
        """Send the head of a reply, and its body up to ``length``."""
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[:length])

    def drop(self) -> None:
        """End the connection in an orderly way."""
        self.close_connection = True

    def hold(self) -> None:
        """Say nothing until the client has had enough."""
        while not select.select([self.connection], [], [], 0.2)[0]:
            if self.server.is_over.is_set():
                break
        self.drop()


Fault = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """No fault."""
    exchange.answer(exchange.forward())


def reset(exchange: Exchange) -> None:
    """The connection ends with a RST."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.drop()
    os.close(exchange.connection.detach())


def stall(exchange: Exchange) -> None:
    """The request is taken and never carried out, nor answered."""
    exchange.hold()


def lose_answer(exchange: Exchange) -> None:
    """The request is carried out and never answered."""
    exchange.forward()
    exchange.hold()


def truncate(exchange: Exchange) -> None:
    """Half of the body that was announced comes."""
    reply = exchange.forward()
    exchange.answer(reply, len(reply.body) // 2)
    exchange.drop()


def flip(exchange: Exchange) -> None:
    """One byte of a body is another, of what is sent or else of what comes; nothing else is."""
    exchange.body = _flipped(exchange.body)
    reply = exchange.forward()
    is_download = not exchange.body
    exchange.answer(replace(reply, body=_flipped(reply.body)) if is_download else reply)


def flip_without_checksum(exchange: Exchange) -> None:
    """The same to a download from a store that keeps no checksums: only the ETag tells."""
    reply = exchange.forward()
    kept = tuple(pair for pair in reply.headers if "checksum" not in pair[0].lower())
    exchange.answer(replace(reply, headers=kept, body=_flipped(reply.body)))


def lose_answer_by_reset(exchange: Exchange) -> None:
    """The request is carried out, and then the connection ends with a RST."""
    exchange.forward()
    reset(exchange)


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0x04]) + body[middle + 1 :] if body else body


def drip(bytes_per_s: float) -> Fault:
    """The body comes so slowly."""

    def fault(exchange: Exchange) -> None:
        reply = exchange.forward()
        exchange.answer(reply, 0)
        for position in range(len(reply.body)):
            try:
                exchange.wfile.write(reply.body[position : position + 1])
            except OSError:
                break
            if exchange.server.is_over.wait(1 / bytes_per_s):
                break
        exchange.drop()

    fault.__name__ = "drip"
    return fault


def refuse(status: int, code: str) -> Fault:
    """The store answers with an error, which has no words where the request was a HEAD."""

    def fault(exchange: Exchange) -> None:
        text = f"<Error><Code>{code}</Code><Message>provoked {code}</Message></Error>"
        body = b"" if exchange.command == "HEAD" else text.encode()
        headers = (("Content-Type", "application/xml"), ("Content-Length", str(len(body))))
        exchange.answer(Reply(status, headers, body))

    fault.__name__ = code
    return fault


internal_error: Final = refuse(500, "InternalError")
slow_down: Final = refuse(503, "SlowDown")
too_many_requests: Final = refuse(429, "TooManyRequests")
access_denied: Final = refuse(403, "AccessDenied")
expired_token: Final = refuse(400, "ExpiredToken")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy, upstream: str) -> None:
        self.proxy, self.upstream = proxy, upstream
        self.is_over = threading.Event()
        super().__init__(("127.0.0.1", 0), Exchange)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what this is about."""


def name_of(action: Callable[..., object]) -> str:
    """What tests call a fault, or something that meets it."""
    return str(getattr(action, "__name__", action))


@contextmanager
def run_fault_proxy(s3: S3Server) -> Iterator[FaultProxy]:
    """Run a proxy in front of a server."""
    proxy = FaultProxy(s3)
    server = _Server(proxy, urlsplit(s3.endpoint_url).netloc)
    proxy.s3 = replace(s3, endpoint_url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, name="fault proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
