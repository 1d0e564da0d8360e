"""First station of a row: what it will be called, whether it is there already, and its pixels."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from stylecore.batch.fingerprint import fingerprint, output_name, style_folder
from stylecore.batch.ledger import RunLedger
from stylecore.batch.planning import PlannedRow
from stylecore.batch.store import Store
from stylecore.batch.uris import is_s3, join_uri
from stylecore.errors import MissingError
from stylecore.images.codec import GrayImage, RgbImage, decoded
from stylecore.images.limits import DecodeLimits
from stylecore.images.masks import decode_mask, resize_mask
from stylecore.images.resize import resize_content
from stylecore.pixel_settings import pixel_settings
from tasks.preparing import decode_limits

_T = TypeVar("_T")
_U = TypeVar("_U")
_READERS: Final = 3
_WINDOW: Final = 6
_EVERYWHERE: Final = ""  # version of the mask that a row leaves out
# Our own pictures: at most 8192 px a side, and PNG is never larger than the pixels by much.
OUTPUT_LIMITS: Final = DecodeLimits(max_bytes=2**29, max_pixels=8192**2, bytes_per_pixel=16)


@dataclass(frozen=True, slots=True)
class Names:
    """What a row's picture is called, from everything that goes into it."""

    content_version: str
    fingerprint: str
    output_uri: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A photograph, and the masks of its row, at the size of the output.

    ``found`` holds the picture's bytes when this run made it before and its outcome was lost.
    """

    names: Names
    content: RgbImage
    found: bytes | None
    masks: tuple[GrayImage | None, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The picture is older than the run."""

    names: Names


class ContentReader:
    """Reads the rows of one style.

    Args:
        ledger: the run.
        style_name: folder of the pictures.
        style_digest: of the paintings.
        session: names this attempt at the run; existing pictures are listed once in each, or
            for this reader alone where it is None.
    """

    def __init__(
        self, ledger: RunLedger, style_name: str, style_digest: str, session: str | None
    ) -> None:
        self._store = ledger.store
        self._record = ledger.record
        self._planned_at = ledger.planned_at
        self._style_digest = style_digest
        self._folder = style_folder(ledger.output_uri, style_name)
        self._existing = list_pictures(self._store, self._folder, session)
        self._settings = pixel_settings(self._record.job)

    def read(self, row: PlannedRow) -> Reading | AlreadyThere:
        """Name, look up, fetch and decode one row.

        Raises:
            RowError: whatever is wrong with the row or its storage.
        """
        if self._existing and is_s3(row.content_uri):
            known = row.content_version or self._version(row.content_uri)
            names = self._names(row, known, [self._version(uri) for uri in row.mask_uris])
            if self._is_old(names):
                return AlreadyThere(names)
        limits = decode_limits(self._record.job)
        data, version = self._store.read_bytes(row.content_uri, limits.max_bytes)
        mask_files = [self._read_mask(uri) for uri in row.mask_uris]
        names = self._names(row, version, [version for _, version in mask_files])
        if self._is_old(names):
            return AlreadyThere(names)
        content, size = _decode_small(data, row.content_uri, limits, self._record.job.max_side_px)
        masks = tuple(
            resize_mask(decode_mask(file, uri, limits, size, "photograph"), content)
            if uri
            else None
            for uri, (file, _) in zip(row.mask_uris, mask_files, strict=True)
        )
        return Reading(names, content, self._find(names), masks)

    def _version(self, uri: str) -> str:
        return str(self._store.head(uri).version) if uri else _EVERYWHERE

    def _read_mask(self, uri: str) -> tuple[bytes, str]:
        """A mask's bytes and version; without a URI it is everywhere."""
        most = self._record.job.limits.max_bytes
        return self._store.read_bytes(uri, most) if uri else (b"", _EVERYWHERE)

    def _names(self, row: PlannedRow, version: str, mask_versions: Sequence[str]) -> Names:
        inputs = self._record.inputs_digest
        mark = fingerprint(version, self._style_digest, self._settings, inputs, mask_versions)
        name = output_name(row.content_uri, mark, self._record.job.output.format)
        return Names(version, mark, join_uri(self._folder, name))

    def _find(self, names: Names) -> bytes | None:
        if _file_name(names.output_uri) not in self._existing:
            return None
        try:
            return self._store.read_bytes(names.output_uri, OUTPUT_LIMITS.max_bytes)[0]
        except MissingError:  # deleted since it was listed
            return None

    def _is_old(self, names: Names) -> bool:
        modified = self._existing.get(_file_name(names.output_uri))
        return modified is not None and modified <= self._planned_at.timestamp()


_listing_lock = threading.Lock()


def list_pictures(store: Store, folder: str, session: str | None) -> dict[str, float]:
    """Names and modification times (seconds since 1970) of a style's pictures.

    They are listed once in a session; None is a session that lists them now.
    """
    if session is None:
        return _list_now(store, folder)
    with _listing_lock:  # shards of one style start together: one listing serves them all
        return _list_in_session(store, folder, session)


@lru_cache(maxsize=16)
def _list_in_session(store: Store, folder: str, session: str) -> dict[str, float]:
    del session  # part of the cache's key only
    return _list_now(store, folder)


def _list_now(store: Store, folder: str) -> dict[str, float]:
    listing = store.list_objects(f"{folder}/")
    return {_file_name(info.uri): info.modified.timestamp() for info in listing}


def read_ahead(work: Callable[[_T], _U], items: Iterable[_T]) -> Iterator[_U]:
    """Results of ``work`` in the items' order, a few of them computed ahead by threads."""
    pending: deque[Future[_U]] = deque()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= _WINDOW:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _decode_small(
    data: bytes, uri: str, limits: DecodeLimits, max_side_px: int
) -> tuple[RgbImage, tuple[int, int]]:
    """A picture at the size of the output, and the rows and columns that it had before."""
    with decoded(data, uri, limits) as image:
        height, width, _ = image.shape
        return resize_content(image, max_side_px), (height, width)


def _file_name(uri: str) -> str:
    return uri.rpartition("/")[2]
