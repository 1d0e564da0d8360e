"""Objects of an S3 store, each request tried again after passing faults, each reading checked."""

from __future__ import annotations

import errno
import io
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from stylecore.batch.etags import (
    Response,
    has_md5,
    md5_of,
    multipart_etag,
    num_parts,
    version_of,
)
from stylecore.batch.faults import (
    Answer,
    ChangedObjectError,
    TornReadError,
    TornWriteError,
    ask,
    error_code,
)
from stylecore.batch.leftovers import PREFIX, is_abandoned
from stylecore.batch.objects import ObjectInfo, StoreSettings, is_hidden
from stylecore.batch.uris import join_uri, split_uri
from stylecore.errors import MissingError, TooManyBytesError

_RANGE_BYTES: Final = 8 * 1024**2
_SLOWEST_BYTES_PER_S: Final = 1_000_000
_CREATION: Final = "creation"  # in the metadata of what we created, to know it again
_UNHEARD_OF: Final = (errno.EINVAL, errno.ENOSYS)  # what stores say of parameters they do not have


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
        size = response["ContentLength"]
        if size > max_bytes:
            self._connection.discard(response, self._settings.timeout_s)
            raise TooManyBytesError(uri, f"{size} bytes; the limit is {max_bytes}")
        data = self._receive(uri, response)
        self._check(uri, response, io.BytesIO(data))
        return data, version_of(response)

    def _check(self, uri: str, response: Response, copy: BinaryIO) -> None:
        """Compare a copy with what the object's ETag says, as far as it says anything.

        Raises:
            TornReadError: they differ, or the object is another by now.
        """
        if has_md5(response):
            found = md5_of(copy)
        elif sizes := self._part_sizes(uri, response):
            found = multipart_etag(copy, sizes)
        else:
            self._check_same(uri, response, self._request("head_object", uri))
            return
        if found != version_of(response):
            reason = f"the bytes have MD5 {found}, the object {version_of(response)}"
            raise TornReadError(uri, reason)

    def _part_sizes(self, uri: str, response: Response) -> list[int]:
        """Sizes of the parts in which an object was put; none where the store does not tell."""
        count, sizes = num_parts(response), []
        for number in range(1, count + 1):
            part = self._ask(uri, partial(self._part, uri, number))
            if part is None:
                return []
            self._check_same(uri, response, part)
            if part.get("PartsCount") != count:
                return []
            sizes.append(part["ContentLength"])
        return sizes

    def _part(self, uri: str, number: int) -> Response | None:
        """What the store tells of one part; None where it knows no parts."""
        try:
            return self._request("head_object", uri, PartNumber=number)
        except OSError as error:
            if error.errno not in _UNHEARD_OF:
                raise
            return None

    def _check_same(self, uri: str, before: Response, after: Response) -> None:
        if version_of(before) != version_of(after):
            raise ChangedObjectError(uri)

    def head(self, uri: str) -> ObjectInfo:
        """Size, age and ETag."""
        response = self._ask(uri, lambda: self._request("head_object", uri))
        modified = response["LastModified"].astimezone(UTC)
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        age_s = max(0.0, (now - modified).total_seconds())
        return ObjectInfo(uri, version_of(response), response["ContentLength"], modified, age_s)

    def write(self, uri: str, data: bytes, content_type: str | None) -> None:
        """One PUT, which stores carry out whole or not at all."""
        self._ask(uri, lambda: self._put(uri, data, content_type))

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        """One conditional PUT."""
        creation = uuid.uuid4().hex

        def create() -> bool:
            try:
                marks = {"IfNoneMatch": "*", "Metadata": {_CREATION: creation}}
                self._put(uri, data, content_type, **marks)
            except OSError as error:
                if error_code(error) not in ("PreconditionFailed", "412"):
                    raise
                # A try that got no answer may have been carried out nevertheless; the HTTP
                # library repeats some by itself, too.
                there = self._request("head_object", uri)
                return bool(there.get("Metadata", {}).get(_CREATION) == creation)
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

    def remove_leftovers(self, folder: str, below: bool) -> int:
        """List by the prefix that all of them have."""
        if below:  # there are none
            return 0
        bucket, key = split_uri(join_uri(folder, PREFIX))
        count = 0
        for page in self._pages(folder, {"Bucket": bucket, "Prefix": key}):
            for found in page.get("Contents", ()):
                uri = f"s3://{bucket}/{found['Key']}"
                if is_abandoned(uri.rpartition("/")[2], self.head(uri).age_s or 0.0):
                    self.delete(uri)
                    count += 1
        return count

    def list_objects(self, folder: str) -> Iterator[ObjectInfo]:
        """Objects below a folder, a page of a thousand at a time."""
        bucket, key = split_uri(folder)
        prefix = f"{key.rstrip('/')}/" if key else ""
        for page in self._pages(folder, {"Bucket": bucket, "Prefix": prefix}):
            for found in page.get("Contents", ()):
                if not is_hidden(found["Key"][len(prefix) :]):
                    uri = f"s3://{bucket}/{found['Key']}"
                    modified = found["LastModified"].astimezone(UTC)
                    yield ObjectInfo(uri, version_of(found), found["Size"], modified)

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
        version, size = version_of(head), head["ContentLength"]
        with target.open("wb+") as copy:
            for start in range(0, size, _RANGE_BYTES):
                end = min(start + _RANGE_BYTES, size)
                data = self._ask(uri, partial(self._read_range, uri, version, start, end))
                if data is None:
                    raise ChangedObjectError(uri)
                copy.write(data)
            copy.seek(0)
            self._check(uri, head, copy)

    def _read_range(self, uri: str, version: str, start: int, end: int) -> bytes | None:
        """Bytes ``start`` to ``end`` of one version; None where the object is another by now."""
        response = self._request("get_object", uri, Range=f"bytes={start}-{end - 1}")
        if version_of(response) != version or response["ContentLength"] != end - start:
            self._connection.discard(response, self._settings.timeout_s)
            return None
        return self._receive(uri, response)

    def _request(self, method: str, uri: str, num_bytes: int = 0, **arguments: object) -> Response:
        bucket, key = split_uri(uri)
        timeout_s = self._patience(num_bytes)
        return self._connection.request(method, timeout_s, Bucket=bucket, Key=key, **arguments)

    def _put(self, uri: str, data: bytes, content_type: str | None, **arguments: object) -> None:
        """Write once, and look at what the store says that it wrote.

        Raises:
            TornWriteError: other bytes, which are removed: a later start would take them for ours.
        """
        content = {"ContentType": content_type} if content_type else {}
        sent = {"Body": data, **content, **arguments}
        response = self._request("put_object", uri, len(data), **sent)
        if has_md5(response) and version_of(response) != md5_of(io.BytesIO(data)):
            self._request("delete_object", uri)
            raise TornWriteError(uri, "other bytes arrived than were sent")

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
