"""Objects of an S3 store, each request tried again after passing faults, each reading checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from stylecore.batch.faults import Answer, ChangedObjectError, TornReadError, ask, error_code
from stylecore.batch.objects import ANY_SIZE, ObjectInfo, StoreSettings, is_hidden
from stylecore.batch.uris import split_uri
from stylecore.errors import MissingError, TooManyBytesError

_RANGE_BYTES: Final = 8 * 1024**2
_SLOWEST_BYTES_PER_S: Final = 1_000_000
_is_md5: Final = re.compile(r"[0-9a-f]{32}").fullmatch


Response = Mapping[str, Any]


class Connection(Protocol):
    """How requests get to the store; ``stylecore.batch.store.S3Connection`` is the real one."""

    def request(self, method: str, timeout_s: float, **arguments: object) -> Response:
        """One call of the S3 API, made once."""
        ...

    def receive(self, response: Response, timeout_s: float) -> bytes:
        """The body of a response."""
        ...

    def discard(self, response: Response, timeout_s: float) -> None:
        """Drop a response without reading its body."""
        ...


class S3Objects:
    """Objects by URI; ``stylecore.batch.store.Store`` says what each method guarantees."""

    def __init__(self, settings: StoreSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection

    def read(self, uri: str, max_bytes: int) -> tuple[bytes, str]:
        """All bytes of an object and its ETag."""
        return self._ask(uri, lambda: self._read_once(uri, max_bytes))

    def _read_once(self, uri: str, max_bytes: int) -> tuple[bytes, str]:
        response = self._request("get_object", uri)
        size, version = response["ContentLength"], _version(response)
        if size > max_bytes:
            self._connection.discard(response, self._settings.timeout_s)
            raise TooManyBytesError(uri, f"{size} bytes; the limit is {max_bytes}")
        data = self._receive(uri, response)
        if _has_md5(response):
            _check_md5(uri, hashlib.md5(data, usedforsecurity=False).hexdigest(), version)
        elif _version(self._request("head_object", uri)) != version:
            raise ChangedObjectError(uri)
        return data, version

    def head(self, uri: str) -> ObjectInfo:
        """Size, age and ETag."""
        response = self._ask(uri, lambda: self._request("head_object", uri))
        modified = response["LastModified"].astimezone(UTC)
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        age_s = max(0.0, (now - modified).total_seconds())
        return ObjectInfo(uri, _version(response), response["ContentLength"], modified, age_s)

    def write(self, uri: str, data: bytes, content_type: str | None) -> None:
        """One PUT, which stores carry out whole or not at all."""
        self._ask(uri, lambda: self._put(uri, data, content_type))

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        """One conditional PUT."""
        is_first_try = True

        def create() -> bool:
            nonlocal is_first_try
            was_first_try, is_first_try = is_first_try, False
            try:
                self._put(uri, data, content_type, IfNoneMatch="*")
            except OSError as error:
                if error_code(error) not in ("PreconditionFailed", "412"):
                    raise
                # A try that got no answer may have been carried out nevertheless.
                return not was_first_try and self._read_once(uri, ANY_SIZE)[0] == data
            return True

        return self._ask(uri, create)

    def exists(self, uri: str) -> bool:
        """Whether the store knows the key."""
        try:
            self._ask(uri, lambda: self._request("head_object", uri))
        except MissingError:
            return False
        return True

    def delete(self, uri: str) -> None:
        """Remove the key; S3 does not mind that it is not there."""
        self._ask(uri, lambda: self._request("delete_object", uri))

    def delete_folder(self, folder: str) -> None:
        """Remove the keys one by one."""
        for info in list(self.list_objects(folder)):
            self.delete(info.uri)

    def list_objects(self, folder: str) -> Iterator[ObjectInfo]:
        """Objects below a folder, a page of a thousand at a time."""
        bucket, key = split_uri(folder)
        prefix = f"{key.rstrip('/')}/" if key else ""
        for page in self._pages(folder, {"Bucket": bucket, "Prefix": prefix}):
            for found in page.get("Contents", ()):
                if not is_hidden(found["Key"][len(prefix) :]):
                    uri = f"s3://{bucket}/{found['Key']}"
                    modified = found["LastModified"].astimezone(UTC)
                    yield ObjectInfo(uri, _version(found), found["Size"], modified)

    def _pages(self, folder: str, arguments: dict[str, str]) -> Iterator[Response]:
        timeout_s = self._settings.timeout_s
        while True:
            page = self._ask(
                folder,
                lambda: self._connection.request("list_objects_v2", timeout_s, **arguments),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def spool(self, uri: str, target: Path) -> None:
        """Copy range by range; the whole is read again where its digest is not the object's."""
        self._ask(uri, lambda: self._spool_once(uri, target))

    def _spool_once(self, uri: str, target: Path) -> None:
        head = self._ask(uri, lambda: self._request("head_object", uri))
        version, size = _version(head), head["ContentLength"]
        digest = hashlib.md5(usedforsecurity=False)
        with target.open("wb") as copy:
            for start in range(0, size, _RANGE_BYTES):
                end = min(start + _RANGE_BYTES, size)
                data = self._ask(uri, partial(self._read_range, uri, version, start, end))
                if data is None:
                    raise ChangedObjectError(uri)
                digest.update(data)
                copy.write(data)
        if _has_md5(head):
            _check_md5(uri, digest.hexdigest(), version)

    def _read_range(self, uri: str, version: str, start: int, end: int) -> bytes | None:
        """Bytes ``start`` to ``end`` of one version; None where the object is another by now."""
        response = self._request("get_object", uri, Range=f"bytes={start}-{end - 1}")
        if _version(response) != version or response["ContentLength"] != end - start:
            self._connection.discard(response, self._settings.timeout_s)
            return None
        return self._receive(uri, response)

    def _request(self, method: str, uri: str, num_bytes: int = 0, **arguments: object) -> Response:
        bucket, key = split_uri(uri)
        timeout_s = self._patience(num_bytes)
        return self._connection.request(method, timeout_s, Bucket=bucket, Key=key, **arguments)

    def _put(self, uri: str, data: bytes, content_type: str | None, **arguments: object) -> None:
        content = {"ContentType": content_type} if content_type else {}
        self._request("put_object", uri, len(data), Body=data, **content, **arguments)

    def _receive(self, uri: str, response: Response) -> bytes:
        size = response["ContentLength"]
        data = self._connection.receive(response, self._patience(size))
        if len(data) != size:
            raise ConnectionError(f"{len(data)} of {size} bytes came")
        return data

    def _patience(self, num_bytes: int) -> float:
        return self._settings.timeout_s + num_bytes / _SLOWEST_BYTES_PER_S

    def _ask(self, uri: str, call: Callable[[], Answer]) -> Answer:
        return ask(uri, call, self._settings.attempts)


def _version(response: Response) -> str:
    return str(response["ETag"]).strip('"')


def _has_md5(response: Response) -> bool:
    """Whether the ETag is the MD5 of the bytes: not of multipart or key-encrypted objects."""
    encryption = str(response.get("ServerSideEncryption", ""))
    is_encrypted = encryption.startswith("aws:kms") or "SSECustomerAlgorithm" in response
    return not is_encrypted and _is_md5(_version(response)) is not None


def _check_md5(uri: str, found: str, version: str) -> None:
    if found != version:
        raise TornReadError(uri, f"the bytes have MD5 {found}, the object {version}")
