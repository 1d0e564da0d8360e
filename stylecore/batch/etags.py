"""What an ETag says of an object's bytes: their MD5, or the MD5 of the MD5s of its parts.

That of an object that is encrypted with a key of the user's says nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

from stylecore.batch.objects import ANY_SIZE

Response = Mapping[str, Any]
_CHUNK_BYTES: Final = 2**20
_is_md5: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_of_parts: Final = re.compile(r"[0-9a-f]{32}-(\d{1,5})").fullmatch


def version_of(response: Response) -> str:
    """The ETag of an answer, without quotes; empty where it has none."""
    return str(response.get("ETag", "")).strip('"')


def has_md5(response: Response) -> bool:
    """Whether the ETag is the MD5 of the bytes: not of multipart or key-encrypted objects."""
    return not _is_encrypted(response) and _is_md5(version_of(response)) is not None


def num_parts(response: Response) -> int:
    """Of how many parts' MD5s the ETag is made; 0 where it is not made of any."""
    found = _of_parts(version_of(response))
    return int(found[1]) if found and not _is_encrypted(response) else 0


def md5_of(file: BinaryIO) -> str:
    """The ETag of an object that was put whole."""
    return _read(file, ANY_SIZE).hexdigest()


def multipart_etag(file: BinaryIO, sizes: Sequence[int]) -> str:
    """The ETag of an object that was put in parts of these sizes in bytes."""
    parts = b"".join(_read(file, size).digest() for size in sizes)
    return f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{len(sizes)}"


def _read(file: BinaryIO, size: int) -> hashlib._Hash:
    digest = hashlib.md5(usedforsecurity=False)
    while size > 0 and (data := file.read(min(size, _CHUNK_BYTES))):
        digest.update(data)
        size -= len(data)
    return digest


def _is_encrypted(response: Response) -> bool:
    encryption = str(response.get("ServerSideEncryption", ""))
    return encryption.startswith("aws:kms") or "SSECustomerAlgorithm" in response
