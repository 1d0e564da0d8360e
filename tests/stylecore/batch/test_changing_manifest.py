"""A manifest that changes while it is read is taken in one version, or refused; never a mix."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from reliability import See
from servers import S3Server

from stylecore.batch import local, s3
from stylecore.batch.manifest import read_rows, spool_manifest
from stylecore.batch.objects import StoreSettings
from stylecore.batch.store import S3Connection, Store
from stylecore.errors import JobError

pytestmark = pytest.mark.reliability

ROWS = 2000
REFUSED = "it changed while it was read. Start again when nobody writes to it"
ONCE, EVERY_TIME = 1, 99


def version(number: int) -> bytes:
    """A manifest whose every row says which version it is of; all are of one size."""
    return b"".join(b"v%06d/photo%05d.jpg\n" % (number, row) for row in range(ROWS))


def versions_in(store: Store, uri: str, folder: Path) -> list[str]:
    """Which versions the rows of a spooled manifest are of; there must be as many as written."""
    manifest = spool_manifest(store, uri, folder)
    rows = [row for rows in read_rows(manifest) for row in rows]
    assert len(rows) == ROWS
    return sorted({row.content_uri.partition("/")[0] for row in rows})


class Rewriting:
    """Replaces a manifest in the middle of its reading, so many times at most."""

    def __init__(self, replace: Callable[[bytes], Any], times: int) -> None:
        self._replace = replace
        self._times = times
        self.number = 0

    def __call__(self) -> None:
        if self.number < self._times:
            self.number += 1
            self._replace(version(self.number))


@pytest.fixture
def rewriting_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Rewriting]:
    """Has a local manifest rewritten in place whenever half of it is copied."""
    path = tmp_path / "m.txt"
    path.write_bytes(version(0))
    os.utime(path, (0, 0))  # not in the same tick of the file system's clock as what comes later

    def start(times: int) -> Rewriting:
        rewriting = Rewriting(path.write_bytes, times)

        def copy(source: Any, target: Any, length: int = 0) -> None:
            target.write(source.read(ROWS * 10))
            rewriting()
            shutil.copyfileobj(source, target)

        monkeypatch.setattr(local, "copy_file", copy)
        return rewriting

    return start


def test_a_local_manifest_that_is_rewritten_once_is_taken_as_it_is_then(
    tmp_path: Path, rewriting_local: Callable[[int], Rewriting], seen: See
) -> None:
    rewriting = rewriting_local(ONCE)
    found = versions_in(Store(), f"{tmp_path}/m.txt", tmp_path)
    assert found == ["v000001"]
    seen(
        "a local manifest is rewritten in place while it is read",
        "read again: all rows are of one version",
        f"{rewriting.number} rewriting, {ROWS} rows",
    )


def test_a_local_manifest_that_never_rests_is_refused(
    tmp_path: Path, rewriting_local: Callable[[int], Rewriting], seen: See
) -> None:
    rewriting = rewriting_local(EVERY_TIME)
    with pytest.raises(JobError, match=REFUSED):
        versions_in(Store(), f"{tmp_path}/m.txt", tmp_path)
    seen(
        "a local manifest is rewritten whenever it is read",
        "the job is refused, nothing is planned",
        f"after {rewriting.number} readings",
    )


class RewritingConnection(S3Connection):
    """A real connection; somebody else replaces the object before every second range of it."""

    def __init__(self, rewriting: Rewriting) -> None:
        super().__init__()
        self._rewriting = rewriting
        self._ranges = 0

    def request(self, method: str, timeout_s: float, **arguments: object) -> Any:
        if "Range" in arguments:
            self._ranges += 1
            if self._ranges % 2 == 0:
                self._rewriting()
        return super().request(method, timeout_s, **arguments)


@pytest.mark.e2e
@pytest.mark.parametrize("times", [ONCE, EVERY_TIME])
def test_a_manifest_in_a_bucket_is_never_a_mix_of_versions(
    tmp_path: Path,
    s3_environment: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    seen: See,
    times: int,
) -> None:
    uri = f"s3://inbox/{uuid4().hex}/m.txt"
    Store().write_bytes(uri, version(0))
    monkeypatch.setattr(s3, "_RANGE_BYTES", ROWS * 10)
    rewriting = Rewriting(lambda data: Store().write_bytes(uri, data), times)
    store = Store(StoreSettings(attempts=3))
    store._s3 = s3.S3Objects(store.settings, RewritingConnection(rewriting))
    if times == ONCE:
        assert versions_in(store, uri, tmp_path) == ["v000001"]
        behaviour = "read again: all rows are of one version"
    else:
        with pytest.raises(JobError, match=REFUSED):
            versions_in(store, uri, tmp_path)
        behaviour = "the job is refused, nothing is planned"
    how = "once" if times == ONCE else "whenever it is read"
    seen(
        f"a manifest in S3 is replaced {how} between two ranges of it",
        behaviour,
        f"{rewriting.number} replacements, {ROWS} rows",
    )
