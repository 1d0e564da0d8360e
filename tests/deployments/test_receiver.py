"""The receiver over HTTP: who is let in, what is answered, and what rings."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from deployments.receiver import MAX_BODY_BYTES, Receiver

TOKEN = "correct horse"  # noqa: S105 - of this test
UPLOAD = {
    "event_type": "create",
    "key": "/buckets/inbox/wave/1.jpg",
    "message": {"new_entry": {"name": "1.jpg"}},
}


@dataclass
class Door:
    """A receiver at work, and how often it rang."""

    rings: list[None] = field(default_factory=list)
    port: int = 0

    def request(
        self, body: bytes | None, headers: dict[str, str] | None = None, path: str = "/events"
    ) -> tuple[int, dict[str, object]]:
        """Post something; a body of None is a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        connection.request("GET" if body is None else "POST", path, body, given)
        answer = connection.getresponse()
        words = json.loads(answer.read())
        connection.close()
        return answer.status, words


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    with Receiver(0, TOKEN, "s3://inbox", lambda: door.rings.append(None)) as receiver:
        door.port = receiver.server_address[1]
        thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
        thread.start()
        yield door
        receiver.shutdown()
        thread.join()


def test_an_upload_is_accepted_and_rings(door: Door) -> None:
    assert door.request(json.dumps(UPLOAD).encode()) == (202, {"status": "Accepted", "uploads": 1})
    assert len(door.rings) == 1


def test_an_event_elsewhere_is_accepted_and_does_not_ring(door: Door) -> None:
    elsewhere = UPLOAD | {"key": "/buckets/outbox/wave/1.jpg"}
    status, words = door.request(json.dumps(elsewhere).encode())
    assert (status, words["uploads"]) == (202, 0)
    assert door.rings == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer correct"},
        {"Authorization": f"Bearer {TOKEN} "[:-2]},
        {"Authorization": "Bearer \xe9\xff"},
    ],
)
def test_without_the_token_nobody_is_let_in(door: Door, headers: dict[str, str]) -> None:
    assert door.request(json.dumps(UPLOAD).encode(), headers)[0] == 401
    assert door.rings == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN{"])
def test_what_is_not_json_is_refused(door: Door, body: bytes) -> None:
    assert door.request(body)[0] == 400


def test_a_body_over_the_limit_is_refused_unread(door: Door) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.putrequest("POST", "/events")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    padded = json.dumps(UPLOAD).encode().ljust(MAX_BODY_BYTES)
    assert door.request(padded)[0] == 202


@pytest.mark.parametrize("length", [None, "-1", "a lot", "²"])
def test_a_body_of_unknown_length_is_refused(door: Door, length: str | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.putrequest("POST", "/events")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    if length is not None:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_other_paths_are_not_there_and_health_is(door: Door) -> None:
    assert door.request(b"{}", path="/other")[0] == 404
    assert door.request(None, path="/health") == (200, {"status": "OK"})
    assert door.request(None, path="/events")[0] == 404


def test_a_caller_that_does_not_wait_for_the_answer_is_no_fault(
    door: Door, capfd: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps(UPLOAD).encode()
    head = f"POST /events HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", door.port)) as caller:
        reset_on_close = struct.pack("ii", 1, 0)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        caller.sendall(f"{head}\r\n\r\n".encode() + body)
    assert door.request(None, path="/health")[0] == 200
    assert "Traceback" not in capfd.readouterr().err
