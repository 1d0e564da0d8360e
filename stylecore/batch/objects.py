"""What a store tells of an object, how it is asked, and which names are no objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

ANY_SIZE: Final = 2**62


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: where it is, which bytes it holds, how large and how old it is.

    Attributes:
        uri: normalised URI.
        version: changes with the bytes: the ETag, or ``sha256:<hex>`` of a local file; None in
            listings of local folders, which do not read the files.
        size: in bytes.
        modified: time of the last write, by the store's clock, UTC.
        age_s: seconds since then, by the store's clock too; None in listings.
    """

    uri: str
    version: str | None
    size: int
    modified: datetime
    age_s: float | None = None


@dataclass(frozen=True)
class StoreSettings:
    """How long and how often a store is asked; nothing secret, so that it may be pickled.

    Attributes:
        timeout_s: time for one request, besides a second for every megabyte it carries.
        attempts: how often a request is made before a passing fault becomes the answer.
    """

    timeout_s: float = 30.0
    attempts: int = 4


class Backend(Protocol):
    """One kind of store; ``Store`` says what each method guarantees."""

    def read(self, uri: str, max_bytes: int) -> tuple[bytes, str]: ...  # noqa: D102 - see Store

    def head(self, uri: str) -> ObjectInfo: ...  # noqa: D102 - see Store

    def write(self, uri: str, data: bytes, content_type: str | None) -> None: ...  # noqa: D102

    def create_once(self, uri: str, data: bytes, content_type: str | None) -> bool: ...  # noqa: D102

    def exists(self, uri: str) -> bool: ...  # noqa: D102 - see Store

    def delete(self, uri: str) -> None: ...  # noqa: D102 - see Store

    def delete_folder(self, folder: str) -> None: ...  # noqa: D102 - see Store

    def remove_leftovers(self, folder: str, below: bool) -> int: ...  # noqa: D102 - see Store

    def list_objects(self, folder: str) -> Iterator[ObjectInfo]: ...  # noqa: D102 - see Store

    def spool(self, uri: str, target: Path) -> None: ...  # noqa: D102 - see Store


def is_hidden(name: str) -> bool:
    """Whether a name below a listed folder is no picture's: folder markers and dot-names.

    Args:
        name: path below the folder, such as ``a/b.jpg``; ``.uploads`` is a dot-name too.
    """
    return not name or name.endswith("/") or name.startswith(".") or "/." in name
