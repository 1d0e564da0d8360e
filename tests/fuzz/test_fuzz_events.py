"""Whatever comes to the receiver's port is answered, and rings only for uploads in the inbox."""

import json
import math
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from fuzzing import fuzz, mutate
from reliability import See

from deployments.rate_limit import TokenBucket
from deployments.receiver import Receiver, _Handler

TOKEN = "let-me-in"
ALLOWED_MB = 100
STATUSES = {200, 202, 400, 401, 404, 411, 413, 414, 431, 501, 505}
RECORD = {
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "inbox"}, "object": {"key": "wave/a+b.jpg"}},
}
BRIDGE = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "inbox"}, "object": {"key": "wave/a.jpg"}},
}
SEAWEED = {
    "event_type": "create",
    "key": "/buckets/inbox/wave/a.jpg",
    "message": {"new_entry": {"name": "a.jpg"}},
}
PAYLOADS: list[Any] = [
    {"Records": [RECORD]},
    {"Messages": [{"Body": json.dumps({"Message": json.dumps({"Records": [RECORD]})})}]},
    BRIDGE,
    SEAWEED,
]
BODIES = [json.dumps(payload).encode() for payload in PAYLOADS]
TOKENS = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"1e999", b"\\ud800", b"\\u0000"]
TOKENS += [b'"Records"', b'"s3"', b'"detail"', b'"key"', b"[" * 2000, b"\xff", b"9" * 5000, b"%00"]
HTTP = [b"\r\n", b"\n", b"\x00", b" ", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"\x85"]
HTTP += [b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.1", b"HTTP/9.9"]
HTTP += [
    b"GET /health ",
    b"BREW /events ",
    b"Authorization: Bearer x\r\n",
    b"\x1b[2J",
    b"A" * 70000,
]


def request(body: bytes) -> bytes:
    head = f"POST /events HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(0, TOKEN, "s3://inbox", lambda: None) as receiver:
        # Its own rate would have it look into but the first of so many.
        receiver.events = TokenBucket(math.inf, math.inf)
        yield receiver


def answer(receiver: Receiver, sent: bytes) -> bytes:
    """What the receiver answers to these bytes on one connection, which then ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        _Handler(theirs, ("127.0.0.1", 1), receiver)
        theirs.shutdown(socket.SHUT_WR)
        parts = iter(lambda: ours.recv(65536), b"")
        return b"".join(parts)


@pytest.mark.reliability
def test_any_bytes_are_answered(fuzz_inputs: int, receiver: Receiver, seen: See) -> None:
    rung: list[bool] = []
    statuses: dict[int, int] = {}
    receiver.ring = lambda: rung.append(True)

    def check(sent: bytes) -> None:
        head = answer(receiver, sent).partition(b"\r\n\r\n")[0].decode("latin-1")
        if not head.startswith("HTTP/"):  # to a request of HTTP 0.9, or to none at all
            return
        assert all(line.isprintable() for line in head.split("\r\n"))
        status = int(head.split()[1])
        statuses[status] = statuses.get(status, 0) + 1
        assert status in STATUSES

    requests = [request(body) for body in BODIES]

    def make(chance: Random) -> bytes:
        if chance.random() < 0.3:
            return mutate(chance, requests, [*HTTP, *TOKENS])
        return request(mutate(chance, BODIES, TOKENS))

    done = fuzz(fuzz_inputs, make, check)
    assert {202, 400, 401} <= statuses.keys()
    assert 0 < len(rung) < done.inputs
    assert done.megabytes < ALLOWED_MB
    seen("damaged and hostile notifications", "each answered; none is a fault", str(done))
