import hashlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stylecore.batch.store import Store, StoreSettings
from stylecore.errors import (
    BadKeyError,
    ForbiddenError,
    JobError,
    MissingError,
    TooManyBytesError,
)


@pytest.fixture
def store() -> Store:
    return Store()


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_come_back_with_their_digest(store: Store, tmp_path: Path):
    uri = f"{tmp_path}/deep/er/a.bin"
    store.write_bytes(uri, b"hello")
    assert store.read_bytes(uri, 5) == (b"hello", f"sha256:{hashlib.sha256(b'hello').hexdigest()}")
    assert store.head(uri).version == store.read_bytes(uri)[1]
    assert store.head(uri).size == 5


def test_a_file_over_the_limit_is_not_read(store: Store, tmp_path: Path):
    (tmp_path / "big").write_bytes(b"123456")
    with pytest.raises(TooManyBytesError, match="6 bytes; the limit is 5"):
        store.read_bytes(f"{tmp_path}/big", 5)


def test_an_empty_file_is_read_as_no_bytes(store: Store, tmp_path: Path):
    (tmp_path / "empty").write_bytes(b"")
    assert store.read_bytes(f"{tmp_path}/empty", 5)[0] == b""


@pytest.mark.parametrize("name", ["missing", "file/below", "folder"])
def test_what_is_no_file_is_missing(store: Store, tmp_path: Path, name: str):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    for ask in (store.read_bytes, store.head):
        with pytest.raises(MissingError):
            ask(f"{tmp_path}/{name}")
    assert not store.exists(f"{tmp_path}/{name}")


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_refused_instead_of_waited_for(store: Store, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (f"{tmp_path}/pipe", "/dev/zero"):
        with pytest.raises(ForbiddenError, match="not a regular file"):
            store.read_bytes(path, 100)


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    path = tmp_path / "locked"
    path.write_bytes(b"x")
    path.chmod(0)
    return path


@pytest.fixture
def no_privileges() -> Iterator[None]:
    """Root may read everything, so it becomes somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_a_file_without_permission_is_forbidden(
    store: Store, locked: Path, no_privileges: None
) -> None:
    with pytest.raises(ForbiddenError):
        store.read_bytes(str(locked), 100)


def test_a_name_too_long_for_the_file_system_is_a_bad_key(store: Store, tmp_path: Path):
    with pytest.raises(BadKeyError):
        store.read_bytes(f"{tmp_path}/{'x' * 300}", 100)


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(store: Store, tmp_path: Path):
    for data in (b"a much longer first version", b"short"):
        store.write_bytes(f"{tmp_path}/a", data)
    assert (tmp_path / "a").read_bytes() == b"short"
    assert visible(tmp_path) == ["a"]


def test_a_failed_write_keeps_the_old_bytes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store.write_bytes(f"{tmp_path}/a", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match="no room is left"):
        store.write_bytes(f"{tmp_path}/a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert visible(tmp_path) == ["a"]


def test_of_many_creators_exactly_one_succeeds(store: Store, tmp_path: Path):
    barrier = threading.Barrier(8)

    def create(number: int) -> bool:
        barrier.wait()
        return store.create_once(f"{tmp_path}/claim", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert created.count(True) == 1
    assert (tmp_path / "claim").read_bytes() == b"%d" % created.index(True)
    assert visible(tmp_path) == ["claim"]


def test_deleting_twice_is_no_error(store: Store, tmp_path: Path):
    store.write_bytes(f"{tmp_path}/a", b"x")
    store.delete(f"{tmp_path}/a")
    store.delete(f"{tmp_path}/a")
    assert not store.exists(f"{tmp_path}/a")


def test_a_listing_has_the_order_of_keys_and_no_hidden_names(store: Store, tmp_path: Path):
    for name in ("b.jpg", "a/y.jpg", "a/x.jpg", "a.jpg", "a-b/q.jpg", "é.jpg"):
        store.write_bytes(f"{tmp_path}/{name}", b"x")
    for hidden in (".draft", ".uploads/0001.part", "a/.cache/z.jpg"):
        store.write_bytes(f"{tmp_path}/{hidden}", b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    keys = [info.uri.removeprefix(f"{tmp_path}/") for info in store.list_objects(str(tmp_path))]
    assert keys == ["a-b/q.jpg", "a.jpg", "a/x.jpg", "a/y.jpg", "b.jpg", "é.jpg"]
    assert keys == sorted(keys, key=str.encode)


def test_a_folder_that_nobody_wrote_to_is_empty(store: Store, tmp_path: Path):
    assert list(store.list_objects(f"{tmp_path}/results")) == []


def test_a_spool_is_a_copy_that_later_changes_do_not_touch(store: Store, tmp_path: Path):
    source = tmp_path / "manifest.csv"
    source.write_bytes(b"before")
    (tmp_path / "spool").mkdir()
    copy = store.spool(str(source), tmp_path / "spool")
    source.write_bytes(b"after")
    assert copy.read_bytes() == b"before"
    assert copy.parent == tmp_path / "spool"


def test_a_writable_folder_passes_and_keeps_no_trace(store: Store, tmp_path: Path):
    store.check_writable(str(tmp_path))
    assert visible(tmp_path) == []


def test_an_output_that_is_a_file_refuses_the_job(store: Store, tmp_path: Path):
    (tmp_path / "out").write_bytes(b"x")
    with pytest.raises(JobError, match="output cannot be written") as caught:
        store.check_writable(f"{tmp_path}/out")
    assert str(caught.value).count("\n") < 10


def test_a_store_is_pickled_as_its_settings_only(tmp_path: Path):
    store = pickle.loads(pickle.dumps(Store(StoreSettings(timeout_s=7, attempts=2))))
    assert store.settings == StoreSettings(timeout_s=7, attempts=2)
    store.write_bytes(f"{tmp_path}/a", b"x")


def test_local_work_does_not_import_the_s3_client(tmp_path: Path):
    code = (
        "import sys; from stylecore.batch.store import Store; "
        f"Store().write_bytes({str(tmp_path / 'a')!r}, b'x'); "
        "sys.exit('s3fs' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
