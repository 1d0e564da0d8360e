"""URIs of objects: what is accepted, what a job allows, and the names made from them.

A normalised URI is ``s3://bucket/key`` with the key kept byte for byte, or an absolute local path
without a scheme. Rows are untrusted, so a URI passes ``check_uri`` and then ``AllowList.check``
before anything is opened. Nothing here contacts a store.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NoReturn

from stylecore.errors import BadKeyError, JobError, NotAllowedError

MAX_KEY_BYTES: Final = 1024
MAX_STEM_CHARS: Final = 64
_MAX_CACHED_FOLDERS: Final = 10_000

# Not representable in the XML of a listing, or in UTF-8; a backslash becomes "/" on some stores.
_UNSAFE: Final = r"\\\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
_BUCKET: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
# Segments that do not start with a dot are neither "." nor ".." nor ".uploads".
_PLAIN_PATH: Final = rf"(?:/[^./{_UNSAFE}][^/{_UNSAFE}]*)+(?<!\s)"
_is_plain: Final = re.compile(rf"(?:s3://{_BUCKET})?{_PLAIN_PATH}").fullmatch
_is_bucket: Final = re.compile(_BUCKET).fullmatch
_scheme: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match
_has_unsafe: Final = re.compile(rf"[{_UNSAFE}]").search
_MAX_PLAIN_CHARS: Final = MAX_KEY_BYTES // 4  # below it, no key is too long in UTF-8


def check_uri(uri: str) -> str:
    """Normalise the URI of one object.

    Args:
        uri: ``s3://``, ``s3a://`` or ``file:///`` URI, or a local path; percent signs are literal.

    Returns:
        ``s3://bucket/key``, or an absolute local path (relative ones start at the working folder).

    Raises:
        NotAllowedError: another scheme, or a chain of them.
        BadKeyError: malformed, or a name that does not survive every store.
    """
    if len(uri) <= _MAX_PLAIN_CHARS and _is_plain(uri):
        return uri
    return _check_carefully(uri)


def check_folder(uri: str) -> str:
    """Normalise a folder that a person named: a bucket, a prefix or a local folder.

    Args:
        uri: as for ``check_uri``; local paths may hold ``..``, and a trailing ``/`` is dropped.

    Raises:
        NotAllowedError: another scheme, or a chain of them.
        BadKeyError: malformed.
    """
    folder = absolute(uri)
    bare = folder.rstrip("/")
    if not bare:
        return "/" if folder else check_uri(folder)
    scheme, separator, bucket = bare.partition("://")
    if separator and scheme.lower() in ("s3", "s3a") and _is_bucket(bucket):
        return f"s3://{bucket}"
    return check_uri(bare)


def absolute(uri: str) -> str:
    """What a person typed, with a local path made absolute; a trailing ``/`` is kept.

    Only for words of the person who starts the job: in rows, ``..`` is refused.
    """
    if not uri or _scheme(uri) or uri != uri.strip():
        return uri
    return os.path.abspath(uri) + ("/" if uri.endswith("/") and uri.strip("/") else "")


def _check_carefully(uri: str) -> str:
    """The slow path of ``check_uri``: every rule by itself, with its reason."""
    if not uri:
        _refuse(uri, "the URI is empty")
    if uri != uri.strip():
        _refuse(uri, "space at the start or end")
    if "::" in uri.partition("/")[0]:
        raise NotAllowedError(_shown(uri), "chained protocols are refused")
    match = _scheme(uri)
    scheme = match[1].lower() if match else ""
    if scheme in ("s3", "s3a"):
        return _check_s3(uri, uri[len(scheme) + 1 :])
    if scheme not in ("", "file"):
        reason = f"scheme {scheme!r} is not allowed; use s3:// or a local path"
        raise NotAllowedError(_shown(uri), reason)
    path = uri
    if scheme == "file":
        if not uri[5:].startswith("///"):
            _refuse(uri, "write file:/// and an absolute path, without a host")
        path = uri[7:]
    if not path.startswith("/"):
        path = f"{os.getcwd()}/{path}"
    _check_path(uri, path[1:])
    return path


def _check_s3(uri: str, rest: str) -> str:
    if not rest.startswith("//"):
        _refuse(uri, "write s3://bucket/key")
    bucket, _, key = rest[2:].partition("/")
    if not _is_bucket(bucket):
        has_secret = without_secrets(uri) != uri
        _refuse(uri, "credentials in the URI" if has_secret else f"{bucket!r} is no bucket's name")
    _check_path(uri, key)
    return f"s3://{bucket}/{key}"


def _check_path(uri: str, path: str) -> None:
    if not path:
        _refuse(uri, "there is no key after the bucket")
    if _has_unsafe(path):
        _refuse(uri, "backslash, control character or broken Unicode in the name")
    if len(path.encode()) > MAX_KEY_BYTES:
        _refuse(uri, f"the name is longer than {MAX_KEY_BYTES} bytes")
    segments = path.split("/")
    if not segments[-1]:
        _refuse(uri, "it ends with '/': a folder, not an object")
    if "" in segments:
        _refuse(uri, "'//' in the name, which stores treat differently")
    if "." in segments or ".." in segments:
        _refuse(uri, "'.' or '..' in the name")
    if ".uploads" in segments:
        _refuse(uri, ".uploads holds the store's unfinished uploads")


def _refuse(uri: str, reason: str) -> NoReturn:
    raise BadKeyError(_shown(uri), reason)


def _shown(uri: str) -> str:
    """As it may end up in logs and Parquet files, which take neither secrets nor megabytes."""
    return without_secrets(uri)[:MAX_KEY_BYTES]


def without_secrets(uri: str) -> str:
    """A URI that may be refused, without the secrets that such URIs were seen to carry.

    What stands before an ``@`` is credentials, unless it is in the key of a bucket or in a path;
    what stands after the ``?`` of a web address may be a signature.
    """
    start, separator, rest = uri.partition("://")
    if not separator or rest.startswith("/"):
        return uri
    is_store = start.lower() in ("s3", "s3a")
    if not (is_store and _is_bucket(rest.partition("/")[0])) and "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    if not is_store and "?" in rest:
        rest = f"{rest.partition('?')[0]}?***"
    return f"{start}://{rest}"


def resolve(uri: str, base_folder: str) -> str:
    """A name from a manifest, made whole but not checked.

    Args:
        uri: a URI, an absolute path, or a name relative to ``base_folder``.
        base_folder: normalised URI of the manifest's folder.
    """
    if not uri or uri[0] == "/" or (":" in uri and _scheme(uri)):
        return uri
    return f"{base_folder.rstrip('/')}/{uri}"


def is_s3(uri: str) -> bool:
    """Whether a normalised URI names an object of an S3 store, rather than a local file."""
    return uri.startswith("s3://")


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of a normalised URI; of a local path, an empty bucket and the path."""
    if not is_s3(uri):
        return "", uri
    bucket, _, key = uri[5:].partition("/")
    return bucket, key


def join_uri(folder: str, *parts: str) -> str:
    """The URI of ``parts`` below a normalised folder."""
    return "/".join((folder.rstrip("/"), *parts))


def parent(uri: str) -> str:
    """The folder of a normalised URI; of a key at the top, the bucket."""
    bucket, path = split_uri(uri.rstrip("/"))
    folder = path.rpartition("/")[0]
    if not bucket:
        return folder or "/"
    return f"s3://{bucket}/{folder}" if folder else f"s3://{bucket}"


def bucket_or_folder(uri: str) -> str:
    """What naming ``uri`` allows by default: its bucket, or the folder of a local file.

    Args:
        uri: normalised URI, or a folder with a trailing ``/``, which allows itself.
    """
    bucket, path = split_uri(uri)
    if bucket:
        return f"s3://{bucket}"
    return path.rstrip("/") or "/" if path.endswith("/") else parent(path)


def safe_stem(uri: str) -> str:
    """The name of an object without folder and suffix, in characters that are safe everywhere.

    Returns:
        1 to 64 characters of ``[A-Za-z0-9._-]``, the first a letter, digit or underscore.
        Different URIs may share a stem.
    """
    name = uri.rstrip("/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_stem)
    return safe.lstrip(".-")[:MAX_STEM_CHARS].rstrip(".-") or "unnamed"


class AllowList:
    """What rows may name: prefixes of buckets, keys and local folders.

    A prefix matches at a ``/`` boundary, local ones by the real path of both sides.
    """

    def __init__(self, prefixes: Iterable[str]) -> None:
        folders = [_allowed_folder(prefix) for prefix in prefixes]
        self._s3 = tuple(f"{folder}/" for folder in folders if is_s3(folder))
        self._local = tuple(
            f"{os.path.realpath(folder).rstrip('/')}/" for folder in folders if not is_s3(folder)
        )
        self._real_folders: dict[str, str] = {}

    def check(self, uri: str) -> None:
        """Refuse what no prefix allows.

        Args:
            uri: as ``check_uri`` returned it.

        Raises:
            NotAllowedError: names the prefix that would allow it.
        """
        if uri.startswith(self._s3) if is_s3(uri) else self._real(uri).startswith(self._local):
            return
        raise NotAllowedError(uri, f"not allowed; to allow it: --allow {bucket_or_folder(uri)}")

    def _real(self, path: str) -> str:
        """Real path of a file; folders are resolved once, so that a row costs one ``lstat``."""
        if os.path.islink(path):
            return os.path.realpath(path)
        folder, _, name = path.rpartition("/")
        real = self._real_folders.get(folder)
        if real is None:
            if len(self._real_folders) >= _MAX_CACHED_FOLDERS:
                self._real_folders.clear()
            real = os.path.realpath(folder or "/").rstrip("/")
            self._real_folders[folder] = real
        return f"{real}/{name}"


def _allowed_folder(prefix: str) -> str:
    try:
        return check_folder(prefix)
    except (BadKeyError, NotAllowedError) as error:
        raise JobError(f"--allow {prefix!r}: {error.reason}") from None
