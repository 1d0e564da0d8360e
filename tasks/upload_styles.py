"""The styles of an inbox as jobs, with the digests that pictures are named by.

Digests need the bytes of paintings and weights. They are kept in the bucket by the versions of
those, since a sweep runs in a process of its own and should not read all paintings every minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from stylecore.batch.faults import job_errors
from stylecore.batch.fingerprint import StyleSources, digest_of
from stylecore.batch.inbox import StyleUploads, UploadsJob, style_job
from stylecore.batch.objects import ObjectInfo
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri
from stylecore.config import StylizeJob
from stylecore.errors import RowError
from tasks.input_files import digest_inputs, input_uris, read_input_files
from tasks.preparing import check_style, normalize_job
from tasks.style_files import style_sources

_MAX_SETTINGS_BYTES: Final = 64 * 1024
_MAX_DIGESTS_BYTES: Final = 16 * 1024**2


class KnownDigests:
    """Digests by what they were taken of, in one object; whatever is wrong with it, it is empty.

    Args:
        store: where it is.
        uri: of the object.
    """

    def __init__(self, store: Store, uri: str) -> None:
        self._store = store
        self._uri = uri
        self._before = self._read()
        self._used: dict[str, str] = {}

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._store.read_bytes(self._uri, _MAX_DIGESTS_BYTES)[0])
        except (RowError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def get(self, key: str, compute: Callable[[], str]) -> str:
        """The digest under ``key``, computed where it is not known."""
        digest = self._used.get(key) or self._before.get(key) or compute()
        self._used[key] = digest
        return digest

    def save(self) -> None:
        """Write what was used, if that is something new."""
        if self._used != self._before:
            self._store.write_bytes(self._uri, json.dumps(self._used).encode(), "application/json")


class StyleReader:
    """Makes jobs of an inbox's styles.

    Args:
        store: where everything is.
        job: checked.
        digests: of paintings and other inputs.
    """

    def __init__(self, store: Store, job: UploadsJob, digests: KnownDigests) -> None:
        self._store = store
        self._job = job
        self._digests = digests

    def read_job(self, style: StyleUploads) -> StylizeJob:
        """The job of a style's uploads.

        Raises:
            JobError: there is no painting, or the settings are wrong.
        """
        data = None
        if style.settings is not None:
            with job_errors("settings"):
                data, _ = self._store.read_bytes(style.settings.uri, _MAX_SETTINGS_BYTES)
        return normalize_job(style_job(self._job, style, data))

    def style_digest(self, job: StylizeJob, painting: ObjectInfo) -> str:
        """Digest of the painting.

        Raises:
            JobError: it is not an image that can be read.
        """
        (source,) = style_sources(job)
        with job_errors("style"):
            version = version_of(self._store, painting)
        key = digest_of([painting.uri, version, job.limits.model_dump(mode="json")])
        return self._digests.get(key, lambda: self._check_style(job, source))

    def _check_style(self, job: StylizeJob, source: StyleSources) -> str:
        generator = read_input_files(self._store, job).get("generator")
        return check_style(self._store, job, source, generator)

    def inputs_digest(self, job: StylizeJob) -> str:
        """Digest of the network's weights and of the other files that the settings name.

        Raises:
            JobError: one of them cannot be read.
        """
        named = input_uris(job)
        if not named:
            return digest_inputs(job, {})
        with job_errors("settings"):
            versions = {name: self._store.head(uri).version for name, uri in named.items()}
        key = digest_of([job.method, job.optimize.encoder, named, versions])
        return self._digests.get(
            key, lambda: digest_inputs(job, read_input_files(self._store, job))
        )


def version_of(store: Store, info: ObjectInfo) -> str:
    """The version that a listing told; local files are read for it."""
    return info.version or str(store.head(info.uri).version)


def digests_uri(output_uri: str) -> str:
    """Where the digests of an output's styles are."""
    return join_uri(output_uri, "uploads", "digests.json")
