import errno
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from fsspec.exceptions import FSTimeoutError

from stylecore.batch.faults import job_errors
from stylecore.batch.objects import StoreSettings
from stylecore.batch.s3 import S3Objects
from stylecore.errors import (
    ForbiddenError,
    JobError,
    MissingError,
    RowError,
    StorageFaultError,
    StorageTimeoutError,
)

URI = "s3://inbox/a.jpg"
GOOD, OTHER = b"good bytes", b"evil bytes"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class FakeConnection:
    """A store of one object, whose answers a test can spoil."""

    def __init__(self, data: bytes = GOOD, etag: str | None = None) -> None:
        self.data: bytes | None = data
        self.etag = etag or md5(data)
        self.encryption = ""
        self.spoil: Callable[[int, str], bytes | None] = lambda call, method: None
        self.answer_lost: Callable[[int], bool] = lambda call: False
        self.damage: Callable[[int, bytes], bytes] = lambda call, data: data
        self.metadata: dict[str, str] = {}
        self.methods: list[str] = []

    def request(self, method: str, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        self.methods.append(method)
        spoiled = self.spoil(len(self.methods), method)
        if method == "put_object":
            if arguments.get("IfNoneMatch") and self.data is not None:
                raise OSError(errno.EINVAL, "exists") from refused("PreconditionFailed")
            self.data = self.damage(len(self.methods), arguments["Body"])
            self.etag = md5(self.data)
            self.metadata = arguments.get("Metadata", {})
            if self.answer_lost(len(self.methods)):
                raise FSTimeoutError
            return {"ETag": f'"{self.etag}"', "ServerSideEncryption": self.encryption}
        if method == "delete_object":
            self.data = None
            return {}
        body = spoiled or self.data or b""
        if "Range" in arguments:
            start, end = (int(n) for n in arguments["Range"].removeprefix("bytes=").split("-"))
            body = body[start : end + 1]
        return {
            "ETag": f'"{self.etag}"',
            "ContentLength": len(body),
            "ServerSideEncryption": self.encryption,
            "LastModified": datetime(2026, 1, 1, tzinfo=UTC),
            "Body": body,
            "Metadata": self.metadata,
        }

    def receive(self, response: Any, timeout_s: float) -> bytes:
        body: bytes = response["Body"]
        return body

    def discard(self, response: Any, timeout_s: float) -> None:
        pass


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "PutObject")


def objects(connection: FakeConnection, attempts: int = 2) -> S3Objects:
    return S3Objects(StoreSettings(attempts=attempts), connection)


def raising(error: Exception, until: int = 99) -> Callable[[int, str], None]:
    def spoil(call: int, method: str) -> None:
        if call <= until:
            raise error

    return spoil


def test_corrupted_bytes_are_read_again():
    connection = FakeConnection()
    connection.spoil = lambda call, method: OTHER if call == 1 else None
    assert objects(connection).read(URI, 100) == (GOOD, md5(GOOD))


def test_bytes_that_stay_corrupted_are_a_storage_error():
    connection = FakeConnection()
    connection.spoil = lambda call, method: OTHER
    with pytest.raises(StorageFaultError, match="MD5"):
        objects(connection).read(URI, 100)
    assert connection.methods == ["get_object"] * 2


@pytest.mark.parametrize(("etag", "encryption"), [("a" * 32 + "-3", ""), ("b" * 32, "aws:kms")])
def test_where_the_etag_is_no_md5_it_is_asked_for_again(etag: str, encryption: str):
    connection = FakeConnection(etag=etag)
    connection.encryption = encryption
    assert objects(connection).read(URI, 100) == (GOOD, etag)
    # Of the parts the first is asked for, which this store does not know.
    asked_parts = ["head_object"] if "-" in etag else []
    assert connection.methods == ["get_object", *asked_parts, "head_object"]


def test_an_object_that_changes_while_it_is_read_is_read_again():
    connection = FakeConnection(etag="old-1")

    def change(call: int, method: str) -> None:
        if call == 2:
            connection.etag = "new-1"

    connection.spoil = change
    assert objects(connection).read(URI, 100) == (GOOD, "new-1")
    assert connection.methods == ["get_object", "head_object"] * 2


def test_a_body_that_ends_early_is_read_again(monkeypatch: pytest.MonkeyPatch):
    connection = FakeConnection(etag="multipart-2")
    bodies = iter([GOOD[:3], GOOD])
    monkeypatch.setattr(connection, "receive", lambda response, timeout_s: next(bodies))
    assert objects(connection).read(URI, 100)[0] == GOOD


@pytest.mark.parametrize(
    "error",
    [
        FSTimeoutError(),
        ReadTimeoutError(endpoint_url="http://x"),
        OSError(errno.EIO, "unknown"),
        OSError(errno.EBUSY, "SlowDown"),
        OSError(errno.EREMOTEIO, "InternalError"),
        ConnectionResetError(),
    ],
)
def test_a_passing_fault_is_forgotten(error: Exception):
    connection = FakeConnection()
    connection.spoil = raising(error, until=1)
    assert objects(connection).read(URI, 100)[0] == GOOD


@pytest.mark.parametrize(
    ("error", "expected", "requests"),
    [
        (FSTimeoutError(), StorageTimeoutError, 2),
        (ReadTimeoutError(endpoint_url="http://x"), StorageTimeoutError, 2),
        (OSError(errno.EBUSY, "SlowDown"), StorageFaultError, 2),
        (OSError(errno.EINVAL, "InvalidRange"), StorageFaultError, 1),
        (FileNotFoundError("NoSuchKey"), MissingError, 1),
        (PermissionError("AccessDenied"), ForbiddenError, 1),
        (NoCredentialsError(), ForbiddenError, 1),
    ],
)
def test_a_fault_that_stays_has_its_own_error(
    error: Exception, expected: type[RowError], requests: int
):
    connection = FakeConnection()
    connection.spoil = raising(error)
    with pytest.raises(expected):
        objects(connection).read(URI, 100)
    assert len(connection.methods) == requests


def test_a_fault_of_our_own_is_not_hidden():
    connection = FakeConnection()
    connection.spoil = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        objects(connection).read(URI, 100)


@pytest.mark.parametrize("etag_is_md5", [True, False])
def test_a_creation_whose_answer_was_lost_counts_as_ours(etag_is_md5: bool):
    connection = FakeConnection()
    connection.data, connection.encryption = None, "" if etag_is_md5 else "aws:kms"
    connection.answer_lost = lambda call: call == 1
    assert objects(connection).create_once(URI, b"ours")


def test_the_same_bytes_of_another_process_are_not_our_creation():
    connection = FakeConnection()
    connection.data = None

    def lose_race(call: int, method: str) -> None:
        if call == 1:
            connection.data, connection.etag = b"the same", md5(b"the same")
            raise FSTimeoutError

    connection.spoil = lose_race
    assert not objects(connection).create_once(URI, b"the same")


def test_an_upload_that_arrives_corrupted_is_written_again():
    connection = FakeConnection()
    connection.damage = lambda call, data: OTHER if call == 1 else data
    objects(connection).write(URI, GOOD, None)
    assert connection.data == GOOD
    assert connection.methods == ["put_object", "delete_object", "put_object"]


def test_an_upload_that_always_arrives_corrupted_leaves_no_object_behind():
    connection = FakeConnection()
    connection.damage = lambda call, data: OTHER
    with pytest.raises(StorageFaultError, match="other bytes arrived"):
        objects(connection).write(URI, GOOD, None)
    assert connection.data is None


def test_where_a_put_answers_with_no_md5_its_etag_says_nothing():
    connection = FakeConnection()
    connection.encryption, connection.damage = "aws:kms", lambda call, data: OTHER
    objects(connection).write(URI, GOOD, None)
    assert connection.methods == ["put_object"]


def test_a_creation_that_another_process_won_meanwhile_is_not_ours():
    connection = FakeConnection()
    connection.data = None

    def lose_race(call: int, method: str) -> None:
        if call == 1:
            connection.data, connection.etag = b"theirs", md5(b"theirs")
            raise FSTimeoutError

    connection.spoil = lose_race
    assert not objects(connection).create_once(URI, b"ours")


def test_the_same_bytes_are_not_created_twice():
    connection = FakeConnection()
    assert not objects(connection).create_once(URI, GOOD)


def test_a_spool_is_whole_although_a_range_fails_or_the_object_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("stylecore.batch.s3._RANGE_BYTES", 4)
    connection = FakeConnection(data=b"0123456789")

    def trouble(call: int, method: str) -> None:
        if call == 3:
            raise FSTimeoutError
        if call == 5:
            connection.data, connection.etag = b"abcdefghij", md5(b"abcdefghij")

    connection.spoil = trouble
    objects(connection).spool(URI, tmp_path / "spool")
    assert (tmp_path / "spool").read_bytes() == b"abcdefghij"


def test_a_spool_never_mixes_two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stylecore.batch.s3._RANGE_BYTES", 4)
    connection = FakeConnection(data=b"0123456789", etag="old-2")

    def change(call: int, method: str) -> None:
        if call == 3:
            connection.data, connection.etag = b"abcdefghij", "new-2"

    connection.spoil = change
    objects(connection).spool(URI, tmp_path / "spool")
    assert (tmp_path / "spool").read_bytes() == b"abcdefghij"


def test_a_spool_with_corrupted_bytes_is_a_storage_error(tmp_path: Path):
    connection = FakeConnection()
    connection.spoil = lambda call, method: OTHER
    with pytest.raises(StorageFaultError, match="MD5"):
        objects(connection).spool(URI, tmp_path / "spool")


def test_a_job_is_refused_with_what_where_and_what_to_do():
    with pytest.raises(JobError) as caught, job_errors("manifest"):
        raise MissingError(URI, "there is no such object")
    assert str(caught.value) == f"manifest: {URI}: there is no such object. Check the name."
