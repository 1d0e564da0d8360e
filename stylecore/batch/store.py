"""Objects by URI: bytes in, bytes out, whole or not at all. The only module that uses fsspec.

Credentials and endpoint come from the AWS chain alone, which s3fs follows. Reading is checked
against the object's version, since a store was seen to hand out corrupted ranges in silence.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stylecore.batch.etags import Response
from stylecore.batch.faults import job_errors
from stylecore.batch.leftovers import temporary_name
from stylecore.batch.local import LocalFiles
from stylecore.batch.objects import ANY_SIZE, Backend, ObjectInfo, StoreSettings
from stylecore.batch.s3 import S3Objects
from stylecore.batch.uris import is_s3, join_uri, split_uri
from stylecore.errors import JobError

__all__ = ["LINK_DAYS", "ObjectInfo", "S3Connection", "Store", "StoreSettings"]

if TYPE_CHECKING:
    from datetime import datetime

    from aiobotocore.response import AioStreamingBody
    from s3fs import S3FileSystem

_CHECK_TIMEOUT_S: Final = 3.0
_CHECK_ATTEMPTS: Final = 2
LINK_DAYS: Final = 7  # no signature may last longer


class Store:
    """Objects of S3 stores and local folders, named by normalised URIs.

    Safe to share between threads; pickles as its settings only; makes new connections after a
    fork. Every method raises a ``RowError`` for what happens to one object, and the ``check_``
    methods a ``JobError``.
    """

    def __init__(self, settings: StoreSettings | None = None) -> None:
        self.settings = settings or StoreSettings()
        self._local = LocalFiles()
        self._connection = S3Connection()
        self._s3 = S3Objects(self.settings, self._connection)

    def __reduce__(self) -> tuple[type[Store], tuple[StoreSettings]]:
        return Store, (self.settings,)

    def _backend(self, uri: str) -> Backend:
        return self._s3 if is_s3(uri) else self._local

    def read_bytes(self, uri: str, max_bytes: int = ANY_SIZE) -> tuple[bytes, str]:
        """Read a whole object.

        Returns:
            The bytes, and the version that they are: of S3 the ETag without quotes, of a local
            file ``sha256:<hex>``.

        Raises:
            TooManyBytesError: the object is larger than ``max_bytes``; nothing was read.
            StorageFaultError: the bytes were not the object's, several times over.
        """
        return self._backend(uri).read(uri, max_bytes)

    def head(self, uri: str) -> ObjectInfo:
        """What the store tells of an object; a local file is read for its digest."""
        return self._backend(uri).head(uri)

    def write_bytes(self, uri: str, data: bytes, content_type: str | None = None) -> None:
        """Write a whole object, replacing what is there; nobody ever sees a part of it."""
        self._backend(uri).write(uri, data, content_type)

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        """Write an object unless there is one; of many callers, exactly one is told True."""
        return self._backend(uri).create_once(uri, data, content_type)

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""
        return self._backend(uri).exists(uri)

    def delete(self, uri: str) -> None:
        """Remove an object; that it is not there is no error."""
        self._backend(uri).delete(uri)

    def delete_folder(self, folder_uri: str) -> None:
        """Remove all objects below a folder; that there is none is no error."""
        self._backend(folder_uri).delete_folder(folder_uri)

    def remove_leftovers(self, folder_uri: str, *, below: bool = False) -> int:
        """Remove temporary objects that killed processes left behind.

        Args:
            folder_uri: where to look.
            below: also in the folders below, of a local folder. In a bucket nothing is written in
                two steps: there may be probes directly in a folder, and nothing else.

        Returns:
            How many there were.
        """
        return self._backend(folder_uri).remove_leftovers(folder_uri, below)

    def list_objects(self, folder_uri: str) -> Iterator[ObjectInfo]:
        """Objects below a folder or bucket, a page in memory at a time, ordered by key.

        Folder markers and dot-names (``.uploads`` among them) are left out. S3 objects come in
        the store's own order: by UTF-8 bytes of the key on AWS, folder by folder on SeaweedFS.

        Raises:
            MissingError: there is no such bucket. A prefix or local folder that nobody has
                written to yet is empty.
        """
        return self._backend(folder_uri).list_objects(folder_uri)

    def time_at(self, folder_uri: str) -> datetime:
        """Now by the store's own clock: the time that it gives to an object written just now."""
        uri = join_uri(folder_uri, temporary_name())
        self.write_bytes(uri, b"")
        try:
            return self.head(uri).modified
        finally:
            self.delete(uri)

    def spool(self, uri: str, folder: Path) -> Path:
        """Copy an object of any size into a new file of a local folder, in constant memory."""
        target = folder / f"{uuid.uuid4().hex}.spool"
        self._backend(uri).spool(uri, target)
        return target

    def web_link(self, uri: str) -> str | None:
        """Where a browser may read an object for a week, without credentials of its own.

        Asks nobody, not even whether there is such an object.

        Returns:
            A signed address; None for local files, and where there is nothing lasting to sign with.
        """
        return self._connection.sign(uri, LINK_DAYS * 86_400) if is_s3(uri) else None

    def check_reachable(self, uri: str, what: str = "storage") -> None:
        """Ask the store of ``uri`` something, in under ten seconds; a missing object is fine.

        Args:
            uri: an object, a folder or a bucket.
            what: what it is for the job; starts the message of the error.

        Raises:
            JobError: no credentials, refused, or no answer.
        """
        with job_errors(what):
            if split_uri(uri)[1]:
                self._hurried().exists(uri)
            else:
                next(self._hurried().list_objects(uri), None)

    def check_writable(self, folder_uri: str) -> None:
        """Write and remove a tiny dot-object, in under ten seconds.

        Raises:
            JobError: the folder cannot be written, or the store cannot create an object once.
        """
        probe = join_uri(folder_uri, temporary_name())
        store = self._hurried()
        with job_errors("output cannot be written", folder_uri):
            created = [store.create_once(probe, b""), store.create_once(probe, b"")]
            store.delete(probe)
        if created != [True, False]:
            raise JobError(
                f"output cannot be written: {folder_uri}: the store ignores conditional writes "
                "(If-None-Match), which keep two processes from doing the same work. Use another "
                "store or a local folder."
            )

    def _hurried(self) -> Store:
        """The same connections with little patience."""
        timeout_s = min(self.settings.timeout_s, _CHECK_TIMEOUT_S)
        attempts = min(self.settings.attempts, _CHECK_ATTEMPTS)
        hurried = Store(replace(self.settings, timeout_s=timeout_s, attempts=attempts))
        hurried._s3 = S3Objects(hurried.settings, self._connection)
        return hurried


class S3Connection:
    """Single requests of an S3 store by key, so that no key is taken for a pattern or a folder."""

    def __init__(self) -> None:
        self._filesystems: dict[int, S3FileSystem] = {}

    def request(self, method: str, timeout_s: float, **arguments: object) -> Response:
        """One call of the S3 API, made once."""
        response: Response = self._filesystem().call_s3(method, timeout=timeout_s, **arguments)
        return response

    def receive(self, response: Response, timeout_s: float) -> bytes:
        """The body of a response, read by the loop that owns its connection."""
        from fsspec.asyn import sync

        data: bytes = sync(self._filesystem().loop, _drain, response["Body"], timeout=timeout_s)
        return data

    def discard(self, response: Response, timeout_s: float) -> None:
        """Drop a response without reading its body."""
        from fsspec.asyn import sync

        sync(self._filesystem().loop, _close, response["Body"], timeout=timeout_s)

    def sign(self, uri: str, expires_s: int) -> str | None:
        """A signed address of an object; None without credentials, or with passing ones.

        An address that is signed with a session's credentials holds their token, and ends with it.
        """
        from botocore.exceptions import BotoCoreError
        from fsspec.asyn import sync

        filesystem = self._filesystem()
        try:
            address = str(sync(filesystem.loop, _sign, filesystem, uri, expires_s))
        except BotoCoreError:
            return None
        return None if "security-token" in address.lower() else address

    def _filesystem(self) -> S3FileSystem:
        """This process' own: after a fork, the parent's does not work."""
        filesystem = self._filesystems.get(os.getpid())
        return filesystem or self._filesystems.setdefault(os.getpid(), _connect())


def _connect() -> S3FileSystem:
    import s3fs

    filesystem = s3fs.S3FileSystem(
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "retries": {"total_max_attempts": 1},
            "max_pool_connections": 32,
            "signature_version": "s3v4",  # of links too, which would get one that few stores take
        },
    )
    # ``ask`` tries again, with jitter; two nested loops of retries would take minutes to give up.
    filesystem.retries = 1
    return filesystem


async def _sign(filesystem: S3FileSystem, uri: str, expires_s: int) -> str:
    bucket, key = split_uri(uri)
    await filesystem.set_session()
    client = await filesystem.get_s3(bucket)
    address: str = await client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires_s
    )
    return address


async def _drain(body: AioStreamingBody) -> bytes:
    async with body as stream:
        data: bytes = await stream.read()
        return data


async def _close(body: AioStreamingBody) -> None:
    body.close()
