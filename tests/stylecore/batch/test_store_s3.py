import hashlib
import os
import pickle
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers import S3Server

from stylecore.batch.manifest import read_rows, spool_manifest
from stylecore.batch.store import Store
from stylecore.errors import ForbiddenError, JobError, MissingError, TooManyBytesError

pytestmark = pytest.mark.e2e

AWKWARD_KEYS = [
    "a b+c%20é 日本.jpg",
    "emoji😀.jpg",
    "á.jpg",
    "q?versionId=1#2.jpg",
    "CON.jpg",
    "[x]*.jpg",
]


@pytest.fixture
def store(s3_environment: S3Server) -> Store:
    return Store()


@pytest.fixture
def folder() -> str:
    return f"s3://inbox/{secrets.token_hex(4)}"


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_a_key_comes_back_byte_for_byte(store: Store, folder: str, key: str):
    store.write_bytes(f"{folder}/{key}", key.encode(), "image/jpeg")
    assert store.read_bytes(f"{folder}/{key}", 100)[0] == key.encode()
    assert [info.uri for info in store.list_objects(folder)] == [f"{folder}/{key}"]


def test_bytes_version_and_age_agree_with_an_independent_client(
    store: Store, folder: str, s3_server: S3Server
):
    data = os.urandom(9_000_000)
    store.write_bytes(f"{folder}/a.bin", data)
    assert s3_server.client().cat_file(f"{folder}/a.bin") == data
    assert store.read_bytes(f"{folder}/a.bin") == (data, hashlib.md5(data).hexdigest())
    info = store.head(f"{folder}/a.bin")
    assert (info.version, info.size) == (hashlib.md5(data).hexdigest(), len(data))
    assert info.age_s is not None
    assert 0 <= info.age_s < 60
    assert [(o.version, o.size) for o in store.list_objects(folder)] == [(info.version, len(data))]


def test_what_is_not_there_is_missing(store: Store, folder: str):
    for ask in (store.read_bytes, store.head):
        with pytest.raises(MissingError, match="no such object"):
            ask(f"{folder}/nothing.jpg")
    assert not store.exists(f"{folder}/nothing.jpg")
    assert list(store.list_objects(folder)) == []
    with pytest.raises(MissingError, match="no such bucket"):
        list(store.list_objects("s3://no-such-bucket/x"))
    store.delete(f"{folder}/nothing.jpg")


def test_an_object_over_the_limit_is_not_read(store: Store, folder: str):
    store.write_bytes(f"{folder}/big", b"x" * 1001)
    with pytest.raises(TooManyBytesError):
        store.read_bytes(f"{folder}/big", 1000)
    assert store.read_bytes(f"{folder}/big", 1001)


def test_of_many_creators_exactly_one_succeeds(store: Store, folder: str):
    uri = f"{folder}/claim.json"
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda n: store.create_once(uri, b"%d" % n), range(32)))
    assert created.count(True) == 1
    assert store.read_bytes(uri)[0] == b"%d" % created.index(True)
    assert not store.create_once(uri, store.read_bytes(uri)[0])


def test_a_listing_pages_and_leaves_out_what_is_no_picture(
    store: Store, folder: str, s3_server: S3Server
):
    names = [f"{number:04d}.jpg" for number in range(2500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write_bytes(f"{folder}/{name}", b"x"), names))
    for hidden in (".draft", ".uploads/0001.part", "sub/.thumb.jpg", "marker/"):
        s3_server.client().call_s3(
            "put_object", Bucket="inbox", Key=f"{folder[11:]}/{hidden}", Body=b""
        )
    store.write_bytes(f"{folder}-other/x.jpg", b"x")
    for spelled in (folder, f"{folder}/"):
        uris = [info.uri for info in store.list_objects(spelled)]
        assert uris == [f"{folder}/{name}" for name in names]


def test_a_spool_is_the_object(store: Store, folder: str, tmp_path: Path):
    data = os.urandom(20_000_001)
    store.write_bytes(f"{folder}/m.bin", data)
    assert store.spool(f"{folder}/m.bin", tmp_path).read_bytes() == data


def test_a_manifest_and_a_prefix_are_read_from_the_bucket(
    store: Store, folder: str, tmp_path: Path
):
    store.write_bytes(f"{folder}/a.jpg", b"a")
    store.write_bytes(f"{folder}/sub/b.jpg", b"b")
    store.write_bytes(f"{folder}/sub/list.txt", b"b.jpg\ns3://inbox/a.jpg\n")
    listed = spool_manifest(store, f"{folder}/", tmp_path)
    versions = {row.content_uri: row.version for rows in read_rows(listed) for row in rows}
    assert versions[f"{folder}/a.jpg"] == hashlib.md5(b"a").hexdigest()
    assert len(versions) == 3
    read = spool_manifest(store, f"{folder}/sub/list.txt", tmp_path)
    assert read.base_uri == f"{folder}/sub"
    assert read.digest == hashlib.sha256(b"b.jpg\ns3://inbox/a.jpg\n").hexdigest()
    store.write_bytes(f"{folder}/a.jpg", b"changed")
    assert spool_manifest(store, f"{folder}/", tmp_path).digest != listed.digest


def test_a_writable_bucket_passes_and_keeps_no_trace(
    store: Store, folder: str, s3_server: S3Server
):
    store.check_writable(folder)
    found = s3_server.client().call_s3("list_objects_v2", Bucket="inbox", Prefix=folder[11:])
    assert not found.get("Contents")


def test_a_store_still_works_after_pickling(store: Store, folder: str):
    store.write_bytes(f"{folder}/a", b"x")
    assert pickle.loads(pickle.dumps(store)).exists(f"{folder}/a")
    assert b"secret" not in pickle.dumps(store).lower()


FORK = """
import multiprocessing, sys
from stylecore.batch.store import Store
store = Store()
store.write_bytes(sys.argv[1], b"x")
context = multiprocessing.get_context("fork")
answers = context.SimpleQueue()
child = context.Process(target=lambda: answers.put(store.read_bytes(sys.argv[1])[0]))
child.start()
child.join(30)
sys.exit(0 if child.exitcode == 0 and answers.get() == b"x" else 1)
"""


def test_a_store_still_works_after_a_fork(s3_environment: S3Server, folder: str):
    # In a process of its own: this one has other people's threads, which no fork survives.
    command = [sys.executable, "-c", FORK, f"{folder}/a"]
    subprocess.run(command, check=True, timeout=60, env=os.environ)


def refused_quickly(check: Callable[[], None], match: str) -> None:
    start = time.monotonic()
    with pytest.raises(JobError, match=match) as caught:
        check()
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert message.count("\n") < 10
    assert len(message) < 1000


def test_a_wrong_secret_is_forbidden_at_once(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, folder: str
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ForbiddenError) as caught:
        Store().read_bytes(f"{folder}/a")
    assert s3_environment.secret_key not in str(caught.value)
    refused_quickly(lambda: Store().check_writable(folder), "credentials")
    refused_quickly(lambda: Store().check_reachable(folder), "credentials")


def test_no_credentials_refuse_the_job(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, folder: str, tmp_path: Path
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    refused_quickly(lambda: Store().check_writable(folder), "AWS_ACCESS_KEY_ID")


def test_a_server_that_is_not_there_refuses_the_job(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, folder: str, tmp_path: Path
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        refused_quickly(lambda: Store().check_writable(folder), "AWS_ENDPOINT_URL")


def test_a_server_that_never_answers_refuses_the_job(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, folder: str, tmp_path: Path
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        refused_quickly(
            lambda: spool_manifest(Store(), f"{folder}/m.csv", tmp_path) and None,
            "did not answer.*AWS_ENDPOINT_URL",
        )


def test_a_missing_bucket_refuses_the_output(store: Store):
    refused_quickly(lambda: store.check_writable("s3://no-such-bucket/out"), "no such bucket")


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_a_web_link_opens_one_object_without_credentials(store: Store, folder: str, key: str):
    store.write_bytes(f"{folder}/{key}", b"<p>a report", "text/html; charset=utf-8")
    link = store.web_link(f"{folder}/{key}")
    assert link is not None
    with urllib.request.urlopen(link, timeout=20) as page:
        assert (page.read(), page.headers["Content-Type"]) == (
            b"<p>a report",
            "text/html; charset=utf-8",
        )


def test_a_web_link_opens_nothing_else_and_holds_no_secret(
    store: Store, folder: str, s3_server: S3Server
):
    for name in ("this", "that"):
        store.write_bytes(f"{folder}/{name}", b"a report")
    link = store.web_link(f"{folder}/this") or ""
    assert s3_server.environment["AWS_SECRET_ACCESS_KEY"] not in link
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(link.replace("/this?", "/that?"), timeout=20)


def test_there_is_no_web_link_without_credentials_or_to_a_local_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert store.web_link(str(tmp_path / "report.html")) is None
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert Store().web_link("s3://inbox/report.html") is None


@pytest.mark.usefixtures("s3_environment")
def test_there_is_no_web_link_that_would_hold_the_token_of_a_session(
    monkeypatch: pytest.MonkeyPatch,
):
    assert Store().web_link("s3://inbox/report.html") is not None
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary")
    assert Store().web_link("s3://inbox/report.html") is None
