"""The receiver while somebody is up to no good: it stays small, answers others, fetches nothing."""

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from reliability import See
from test_receiver import TOKEN, UPLOAD, Door, door

from deployments import receiver
from deployments.receiver import EVENTS_BURST, EVENTS_PER_S, MAX_CONNECTIONS

pytestmark = pytest.mark.reliability
__all__ = ["door"]

HEAD = f"POST /events HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"


def connect(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), timeout=30)


def test_a_flood_with_the_token_is_slowed_down_and_still_rings(door: Door, seen: See) -> None:
    body, answers, start = json.dumps(UPLOAD).encode(), [], time.monotonic()
    for _ in range(EVENTS_BURST + 500):
        answers.append(door.request(body)[0])
    seconds = time.monotonic() - start
    assert set(answers) <= {202, 429}
    accepted = answers.count(202)
    assert EVENTS_BURST <= accepted <= EVENTS_BURST + EVENTS_PER_S * (seconds + 1)
    assert len(door.rings) == len(answers), "the last one rang too, whatever it was answered"
    rate = len(answers) / seconds
    seen(
        f"{len(answers)} upload events in one burst",
        "above the limit 429 with Retry-After; every one rings, and all are one sweep",
        f"{accepted} accepted, {answers.count(429)} refused, {rate:.0f} a second",
    )


def test_what_is_refused_for_its_rate_is_told_when_to_come_back(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver.TokenBucket, "take", lambda _: False)
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.request("POST", "/events", b"{}", {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    connection.close()
    assert door.request(b"{}", {"Authorization": "Bearer x"})[0] == 401, "who has no token"


@pytest.mark.parametrize(
    ("what", "beginning"),
    [
        ("nothing", ""),
        ("half a line", "POST /eve"),
        ("half a head", HEAD),
        ("half a body", f"{HEAD}Content-Length: 5000\r\n\r\n{{"),
    ],
)
def test_slow_callers_use_up_neither_threads_nor_places(
    door: Door, seen: See, what: str, beginning: str
) -> None:
    idle, num_callers = threading.active_count(), 4 * MAX_CONNECTIONS
    with ExitStack() as held:
        for _ in range(num_callers):
            held.enter_context(connect(door)).sendall(beginning.encode())
        start = time.monotonic()
        assert door.request(json.dumps(UPLOAD).encode())[0] == 202
        seconds = time.monotonic() - start
        threads = threading.active_count() - idle
    assert threads <= MAX_CONNECTIONS + 8
    assert len(door.rings) == 1
    seen(
        f"{num_callers} callers that send {what} and wait",
        "the oldest make place for the next; an honest event is answered",
        f"{1000 * seconds:.0f} ms, {threads} threads",
    )


def test_a_request_that_drips_is_ended_however_it_drips(
    door: Door, seen: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_REQUEST_S", 1.0)
    start, sent = time.monotonic(), 0
    with connect(door) as caller:
        caller.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode())
        with suppress(ConnectionError):
            while time.monotonic() - start < 30:
                caller.sendall(b" ")
                sent += 1
                time.sleep(0.05)
    seconds = time.monotonic() - start
    assert 1.0 <= seconds < 10
    assert door.rings == []
    seen(
        "a body that comes a byte at a time",
        "hung up on when its time is over (here 1 s, else 10 s)",
        f"{seconds:.1f} s, {sent} bytes",
    )


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 9999", b"{}"),
        ("Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
        ("Content-Length: 2\r\nContent-Length: 99999999", b"{}"),
        ("X-Long: " + "a" * 70_000, b""),
        ("\r\n".join(f"X-{number}: 1" for number in range(200)), b""),
    ],
    ids=["no body", "chunked", "both", "two lengths", "a long header", "many headers"],
)
def test_odd_framing_is_answered_once_and_ends(door: Door, head: str, body: bytes) -> None:
    with connect(door) as caller:
        caller.sendall(f"{HEAD}{head}\r\n\r\n".encode() + body)
        caller.shutdown(socket.SHUT_WR)
        heard = b""
        while part := caller.recv(65536):
            heard += part
    assert heard.count(b"HTTP/1.") == 1
    assert int(heard.split()[1]) in {202, 400, 411, 413, 431}
    assert door.rings == []
    assert door.request(None, path="/health")[0] == 200


@pytest.fixture
def deeds() -> Iterator[list[tuple[Any, ...]]]:
    """Every connection, name looked up, and file opened by this process while it is watched."""
    found: list[tuple[Any, ...]] = []
    is_on = [True]
    watched = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "open", "subprocess")

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if is_on[0] and event.startswith(watched):
            found.append((event, *map(str, values)))

    sys.addaudithook(hook)  # it cannot be taken off, but it can look away
    yield found
    is_on[0] = False


def test_nothing_that_an_event_names_is_fetched(
    door: Door, deeds: list[tuple[Any, ...]], seen: See
) -> None:
    bait = "http://127.0.0.1:9/bait"
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bait}}}
    names = [bait, "file:///etc/passwd", "s3://other/bait", "../../etc/passwd", "/etc/passwd"]
    events: list[Any] = [{**UPLOAD, "key": f"/buckets/{name}/1.jpg"} for name in names]
    events += [{"Records": [{**record, "s3": {"bucket": {"name": n}, "object": {"key": n}}}]}
               for n in names]  # fmt: skip
    events += [
        {"Type": "SubscriptionConfirmation", "SubscribeURL": bait, "Message": bait},
        {"Type": "Notification", "SigningCertURL": bait, "UnsubscribeURL": bait, "Message": "{}"},
        {"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": bait}}},
        UPLOAD,
    ]
    assert [door.request(json.dumps(event).encode())[0] for event in events] == [202] * len(events)
    assert len(door.rings) == 1, "for the one about the inbox"
    own = f"('127.0.0.1', {door.port})"
    ours = [deed for deed in deeds if own in deed or "getaddrinfo" in deed[0]]
    assert len([deed for deed in ours if "connect" in deed[0]]) == len(events), "it is watched"
    others = [deed for deed in deeds if deed not in ours]
    assert others == [], "neither a connection, nor a file"
    assert not [deed for deed in ours if "bait" in str(deed)]
    seen(
        "events that name other buckets, files, and addresses to call (SNS' SubscribeURL)",
        "nothing is fetched or opened; only what is in the inbox rings",
        f"{len(events)} events, {len(others)} connections or files",
    )
