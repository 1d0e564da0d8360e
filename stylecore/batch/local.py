"""Local folders as a store: whole files or none, versions by content, no links followed out."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from shutil import copyfileobj as copy_file
from typing import Final

from stylecore.batch.faults import ChangedObjectError, row_errors
from stylecore.batch.leftovers import PREFIX, is_abandoned, temporary_name
from stylecore.batch.objects import ObjectInfo
from stylecore.errors import ForbiddenError, TooManyBytesError

_SPOOL_ATTEMPTS: Final = 4


class LocalFiles:
    """Files by absolute path; ``stylecore.batch.store.Store`` says what each method guarantees."""

    def read(self, uri: str, max_bytes: int) -> tuple[bytes, str]:
        """All bytes of a file and their digest."""
        with row_errors(uri), _open_regular(uri) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise TooManyBytesError(uri, f"{size} bytes; the limit is {max_bytes}")
            data = file.read(size)
        return data, _version(hashlib.sha256(data).hexdigest())

    def head(self, uri: str) -> ObjectInfo:
        """Size, age and digest; reads the file."""
        with row_errors(uri), _open_regular(uri) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return _info(uri, os.fstat(file.fileno()), _version(digest))

    def write(self, uri: str, data: bytes, content_type: str | None) -> None:
        """Write beside the file and rename, so that nobody sees half of it."""
        del content_type  # a file has none
        with row_errors(uri):
            draft = _write_draft(uri, data)
            try:
                os.replace(draft, uri)
            except OSError:
                os.unlink(draft)
                raise

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        """Link a finished file to its name, which fails if the name is taken."""
        del content_type  # a file has none
        with row_errors(uri):
            draft = _write_draft(uri, data)
            try:
                os.link(draft, uri)
            except FileExistsError:
                return False
            finally:
                os.unlink(draft)
        return True

    def exists(self, uri: str) -> bool:
        """Whether there is a file."""
        return os.path.isfile(uri)

    def delete(self, uri: str) -> None:
        """Remove the file if it is there."""
        with row_errors(uri):
            Path(uri).unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """Remove the folder with all that is in it."""
        if os.path.isdir(folder):
            with row_errors(folder):
                shutil.rmtree(folder)

    def remove_leftovers(self, folder: str, below: bool) -> int:
        """Look at every name in the folder, and below it if that is asked for."""
        count = 0
        for where, folders, names in os.walk(folder):
            ours = [name for name in names if name.startswith(PREFIX)]
            count += sum(_remove_abandoned(os.path.join(where, name)) for name in ours)
            if not below:
                folders.clear()
        return count

    def list_objects(self, folder: str) -> Iterator[ObjectInfo]:
        """Files below a folder in the order of an S3 listing: by the bytes of the whole path."""
        if not os.path.isdir(folder):
            return
        with row_errors(folder):
            pending = [_entries(folder)]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif entry.is_dir(follow_symlinks=False):
                with row_errors(entry.path):
                    pending.append(_entries(entry.path))
            elif entry.is_file():
                yield _info(entry.path, entry.stat(), None)

    def spool(self, uri: str, target: Path) -> None:
        """Copy, since the original may change while the copy is read twice.

        It is copied again where it changed meanwhile: half of it old and half of it new was never
        anybody's manifest.
        """
        with row_errors(uri):
            for _ in range(_SPOOL_ATTEMPTS):
                with _open_regular(uri) as source, target.open("wb") as copy:
                    before = _stamp(source)
                    copy_file(source, copy, 1 << 20)
                    if before == _stamp(source) and copy.tell() == before[1]:
                        return
            raise ChangedObjectError(uri)


def _stamp(file: BufferedReader) -> tuple[int, int]:
    """What a change of an open file changes: the time of the last write, and the size."""
    status = os.fstat(file.fileno())
    return status.st_mtime_ns, status.st_size


def _open_regular(path: str) -> BufferedReader:
    """Open a regular file; devices and pipes, which may never end, are refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(path)
    raise ForbiddenError(path, "not a regular file")


def _write_draft(path: str, data: bytes) -> str:
    """Write ``data`` to a dot-name in the folder of ``path``; folders are made as needed."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    draft = os.path.join(folder, temporary_name())
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
    return draft


def _remove_abandoned(path: str) -> bool:
    try:
        age_s = time.time() - os.stat(path).st_mtime
        if not is_abandoned(os.path.basename(path), age_s):
            return False
        os.unlink(path)
    except OSError:  # its process, or somebody else who tidies, was quicker
        return False
    return True


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Visible entries; a folder sorts as if its name ended in "/", as its keys would."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    return iter(sorted(entries, key=_key_bytes))


def _key_bytes(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _version(sha256: str) -> str:
    return f"sha256:{sha256}"


def _info(path: str, status: os.stat_result, version: str | None) -> ObjectInfo:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    age_s = None if version is None else max(0.0, time.time() - status.st_mtime)
    return ObjectInfo(path, version, status.st_size, modified, age_s)
