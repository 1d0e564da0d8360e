"""Manifests: spooled once to a local file, from which the digest and the rows both come.

A manifest is Parquet, JSON lines, CSV or a list of URIs, the text ones also gzipped, or a folder
to list. It is accepted whole or not at all: whatever is wrong in it is a ``JobError`` that says
where, and ``read_rows`` takes constant memory however long it is.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from stylecore.batch.faults import job_errors
from stylecore.batch.manifest_readers import ManifestKind, RecordReader
from stylecore.batch.manifest_rows import ManifestRow, RowFault, RowMaker
from stylecore.batch.objects import ObjectInfo
from stylecore.batch.scratch import room_for_copies
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_folder, check_uri, is_s3, parent, split_uri
from stylecore.errors import BadRequestError, JobError

__all__ = ["ManifestRow", "SpooledManifest", "read_rows", "spool_manifest"]

_KINDS: Final[dict[str, ManifestKind]] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".txt": "text",
}


@dataclass(frozen=True, slots=True)
class SpooledManifest:
    """A manifest as it was at one moment.

    Attributes:
        uri: where it came from, normalised.
        path: the local copy; of a folder, its listing.
        digest: SHA-256 of the manifest's bytes, or of the listing's keys and versions.
        base_uri: the folder that relative names start at.
        kind: the format.
        is_gzipped: whether the copy is still compressed.
    """

    uri: str
    path: Path
    digest: str
    base_uri: str
    kind: ManifestKind
    is_gzipped: bool = False


def spool_manifest(
    store: Store, manifest_uri: str, folder: Path, hidden: Sequence[str] = ()
) -> SpooledManifest:
    """Copy a manifest, or the listing of a folder, into a local folder.

    What ends with ``/`` or has no suffix, and what is a local folder, is listed.

    Args:
        store: where from.
        manifest_uri: as the person gave it.
        folder: an existing local folder for the copy.
        hidden: folders that a listing leaves out, such as the job's own output.

    Raises:
        JobError: it cannot be read, or its suffix is unknown.
    """
    try:
        uri, is_folder = _place(manifest_uri)
    except BadRequestError as error:
        raise JobError(f"manifest: {error}") from None
    store.check_reachable(uri, "manifest")
    if is_folder:
        with room_for_copies(folder):
            return _spool_listing(store, uri, folder, hidden)
    kind, is_gzipped = _kind(uri)
    with job_errors("manifest"), room_for_copies(folder):
        path = store.spool(uri, folder)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SpooledManifest(uri, path, digest, parent(uri), kind, is_gzipped)


def _place(manifest_uri: str) -> tuple[str, bool]:
    """Normalised URI, and whether it is a folder to list."""
    uri = absolute(manifest_uri)
    folder = check_folder(uri)
    if uri.endswith("/") or Path(folder).is_dir():
        return folder, True
    if not PurePosixPath(split_uri(folder)[1]).suffix:
        return folder, True
    return check_uri(uri), False


def _kind(uri: str) -> tuple[ManifestKind, bool]:
    """Format by suffix, and whether it is gzipped."""
    name = PurePosixPath(uri.lower())
    is_gzipped = name.suffix == ".gz"
    kind = _KINDS.get(name.with_suffix("").suffix if is_gzipped else name.suffix)
    if kind is None or (is_gzipped and kind == "parquet"):
        raise JobError(
            f"manifest: {uri}: unknown suffix. Known are {', '.join(_KINDS)}, the text ones also "
            "with .gz. To list a folder, end its name with '/'."
        )
    return kind, is_gzipped


def _spool_listing(
    store: Store, folder_uri: str, folder: Path, hidden: Sequence[str]
) -> SpooledManifest:
    """Write a listing as JSON lines of URI and version; its digest covers what tells a change."""
    if not is_s3(folder_uri) and not Path(folder_uri).is_dir():
        raise JobError(f"manifest: {folder_uri}: there is no such folder. Check the name.")
    path = folder / f"{uuid.uuid4().hex}.listing"
    digest = hashlib.sha256()
    ours = tuple(f"{name}/" for name in hidden)
    with job_errors("manifest"), path.open("w", encoding="utf-8") as spool:
        for info in store.list_objects(folder_uri):
            if info.uri.startswith(ours):
                continue
            # A local name that is not UTF-8 comes with surrogates, which no result file takes.
            uri = info.uri.encode("utf-8", "backslashreplace").decode()
            digest.update(f"{uri}\0{info.version or _stamp(info)}\n".encode())
            spool.write(json.dumps([uri, info.version]) + "\n")
    return SpooledManifest(folder_uri, path, digest.hexdigest(), folder_uri, "listing")


def _stamp(info: ObjectInfo) -> str:
    return f"{info.size}@{info.modified.isoformat()}"


def read_rows(manifest: SpooledManifest, batch_rows: int = 10_000) -> Iterator[list[ManifestRow]]:
    """Rows in the manifest's order, at most ``batch_rows`` at a time.

    Blank lines of text formats are no rows; in a list of URIs, neither are lines that start
    with ``#``. An empty listing has no rows; any other manifest without rows is an error.

    Raises:
        JobError: something in the manifest is wrong; says the line, or of Parquet the row,
            counted from 1. May come after many good rows.
    """
    rows = _listed_rows(manifest) if manifest.kind == "listing" else _made_rows(manifest)
    return iter(lambda: list(islice(rows, batch_rows)), [])


def _listed_rows(manifest: SpooledManifest) -> Iterator[ManifestRow]:
    with manifest.path.open(encoding="utf-8") as spool:
        for number, line in enumerate(spool):
            uri, version = json.loads(line)
            yield ManifestRow(number, None, uri, version, (), (), (), {})


def _made_rows(manifest: SpooledManifest) -> Iterator[ManifestRow]:
    reader = RecordReader(manifest.path, manifest.uri, manifest.kind, manifest.is_gzipped)
    maker = RowMaker()
    number = -1
    for number, (names, values) in enumerate(reader):
        try:
            yield maker.make(number, names, values)
        except RowFault as fault:
            reader.refuse(str(fault))
    if number < 0:
        raise JobError(f"{manifest.uri}: the manifest has no rows. Give it at least one.")
