"""A real store behind a proxy that does what networks do: each fault on each kind of request."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fault_proxy
import pytest
from fault_proxy import Fault, FaultProxy, run_fault_proxy
from reliability import See
from servers import S3Server

from stylecore.batch.objects import StoreSettings
from stylecore.batch.store import Store
from stylecore.errors import (
    ForbiddenError,
    RowError,
    StorageFaultError,
    StorageTimeoutError,
)

pytestmark = pytest.mark.e2e

ATTEMPTS, TIMEOUT_S = 3, 2.0
# Three requests without an answer, the pauses between them, and a busy machine.
PATIENCE_S = 4 * ATTEMPTS * TIMEOUT_S
DATA = os.urandom(3_000)
PARTS = [os.urandom(5 * 2**20), os.urandom(6 * 2**20), os.urandom(1_000)]


@dataclass(frozen=True)
class Bench:
    """A store that is reached through a proxy, and a folder of its own in it."""

    proxy: FaultProxy
    store: Store
    name: str

    @property
    def folder(self) -> str:
        return f"s3://inbox/{self.name}"

    def uri(self, key: str) -> str:
        return f"{self.folder}/{key}"

    def stored(self, key: str) -> bytes:
        """What is there, seen without the proxy's rules."""
        self.proxy.heal()
        data: bytes = self.proxy.s3.client().cat_file(f"inbox/{self.name}/{key}")
        return data

    def put_in_parts(self, key: str) -> str:
        """Write an object in parts of different sizes; returns its URI."""
        client, name = self.proxy.s3.client(), {"Bucket": "inbox", "Key": f"{self.name}/{key}"}
        upload = {**name, "UploadId": client.call_s3("create_multipart_upload", **name)["UploadId"]}
        parts = []
        for number, data in enumerate(PARTS, 1):
            answer = client.call_s3("upload_part", **upload, PartNumber=number, Body=data)
            parts.append({"ETag": answer["ETag"], "PartNumber": number})
        client.call_s3("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
        return self.uri(key)


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_server) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def store(proxy: FaultProxy) -> Store:
    """Connected through the proxy once, which takes longer than any of the tests."""
    store = Store(StoreSettings(timeout_s=TIMEOUT_S, attempts=ATTEMPTS))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in proxy.s3.environment.items():
            patch.setenv(name, value)
        store.check_writable("s3://inbox/connected")
    return store


@pytest.fixture
def bench(proxy: FaultProxy, store: Store) -> Iterator[Bench]:
    bench = Bench(proxy, store, secrets.token_hex(4))
    store.write_bytes(bench.uri("there"), DATA)
    yield bench
    proxy.heal()


def read(bench: Bench, folder: Path) -> object:
    return bench.store.read_bytes(bench.uri("there")) == (DATA, hashlib.md5(DATA).hexdigest())


def spool(bench: Bench, folder: Path) -> object:
    return bench.store.spool(bench.uri("there"), folder).read_bytes() == DATA


def head(bench: Bench, folder: Path) -> object:
    return bench.store.head(bench.uri("there")).size == len(DATA)


def list_folder(bench: Bench, folder: Path) -> object:
    return bench.uri("there") in [info.uri for info in bench.store.list_objects(bench.folder)]


def write(bench: Bench, folder: Path) -> object:
    bench.store.write_bytes(bench.uri("new"), DATA)
    return bench.stored("new") == DATA


def create(bench: Bench, folder: Path) -> object:
    key = f"created-{secrets.token_hex(4)}"
    return bench.store.create_once(bench.uri(key), DATA) and bench.stored(key) == DATA


Act = Callable[[Bench, Path], object]
READING: list[Act] = [read, spool]
WRITING: list[Act] = [write, create]
ALL: list[Act] = [*READING, *WRITING, head, list_folder]
ANSWERS = [fault_proxy.internal_error, fault_proxy.slow_down, fault_proxy.too_many_requests]
PASSING: list[tuple[Fault, Act]] = [
    *((fault, act) for fault in (*ANSWERS, fault_proxy.reset, fault_proxy.stall) for act in ALL),
    *((fault_proxy.truncate, act) for act in (*READING, list_folder)),
    *((fault_proxy.flip, act) for act in (*READING, *WRITING)),
    *((fault_proxy.flip_without_checksum, act) for act in READING),
    *((fault_proxy.drip(100), act) for act in READING),
    *((fault_proxy.lose_answer, act) for act in WRITING),
    *((fault_proxy.lose_answer_by_reset, act) for act in WRITING),
]
SILENT = {"stall", "lose_answer", "drip"}
REFUSING = [fault_proxy.access_denied, fault_proxy.expired_token]


def name_of(value: object) -> str:
    return fault_proxy.name_of(value) if callable(value) else str(value)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "act"), PASSING, ids=name_of)
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_fault_that_passes_changes_nothing(
    bench: Bench, tmp_path: Path, fault: Fault, act: Act, times: int
) -> None:
    rule = bench.proxy.on("GET|HEAD|PUT", bench.name, fault, times)
    assert act(bench, tmp_path)
    assert rule.hits == times


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "act"), PASSING, ids=name_of)
def test_a_fault_that_stays_is_told_by_its_code_within_a_stated_time(
    bench: Bench, tmp_path: Path, fault: Fault, act: Act
) -> None:
    rule, start = bench.proxy.on("GET|HEAD|PUT", bench.name, fault), time.monotonic()
    is_silent = fault_proxy.name_of(fault) in SILENT
    with pytest.raises(StorageTimeoutError if is_silent else StorageFaultError):
        act(bench, tmp_path)
    assert time.monotonic() - start < PATIENCE_S
    assert rule.hits >= ATTEMPTS


@pytest.mark.slow
@pytest.mark.parametrize("act", ALL, ids=name_of)
@pytest.mark.parametrize("fault", REFUSING, ids=name_of)
def test_a_refusal_is_forbidden_at_once(
    bench: Bench, tmp_path: Path, fault: Fault, act: Act
) -> None:
    rule = bench.proxy.on("GET|HEAD|PUT", bench.name, fault)
    with pytest.raises(ForbiddenError, match=r"provoked|Forbidden|expired"):
        act(bench, tmp_path)
    assert rule.hits == 1


@pytest.mark.reliability
@pytest.mark.parametrize("act", [read, spool])
def test_a_byte_flipped_in_an_object_of_several_parts_is_found(
    bench: Bench, tmp_path: Path, act: Act, seen: See
) -> None:
    uri = bench.put_in_parts("parts")
    rule = bench.proxy.on("GET", "parts", fault_proxy.flip, 1)
    start = time.monotonic()
    if act is read:
        data = bench.store.read_bytes(uri)[0]
    else:
        data = bench.store.spool(uri, tmp_path).read_bytes()
    assert rule.hits == 1
    assert data == b"".join(PARTS)
    seen(
        f"a byte of a multipart object flips on the way ({fault_proxy.name_of(act)})",
        "found by the MD5s of its parts, and read again",
        f"{len(data) / 1e6:.0f} MB, {time.monotonic() - start:.1f} s",
    )


def test_bytes_of_several_parts_that_stay_corrupted_are_a_storage_error(bench: Bench) -> None:
    uri = bench.put_in_parts("parts")
    bench.proxy.on("GET", "parts", fault_proxy.flip)
    with pytest.raises(StorageFaultError, match="MD5"):
        bench.store.read_bytes(uri)


def test_where_a_store_knows_no_parts_only_the_version_is_looked_at(bench: Bench) -> None:
    uri = bench.put_in_parts("parts")
    no_parts = fault_proxy.refuse(501, "NotImplemented")
    rule = bench.proxy.on("HEAD", "parts.*partNumber", no_parts)
    assert bench.store.read_bytes(uri)[0] == b"".join(PARTS)
    assert rule.hits == 1
    assert bench.proxy.requests[-1] == ("HEAD", f"/inbox/{bench.name}/parts")


@pytest.mark.reliability
def test_a_byte_flipped_on_its_way_to_the_store_is_written_again(bench: Bench, seen: See) -> None:
    rule, start = bench.proxy.on("PUT", "new", fault_proxy.flip, 2), time.monotonic()
    bench.store.write_bytes(bench.uri("new"), DATA)
    seconds = time.monotonic() - start
    assert rule.hits == 2
    assert bench.stored("new") == DATA
    seen(
        "a byte of a picture flips on its way to the store, twice",
        "the store refuses it by its checksum, and it is written again",
        f"{seconds:.1f} s",
    )


@pytest.mark.reliability
@pytest.mark.parametrize("fault", [fault_proxy.lose_answer, fault_proxy.lose_answer_by_reset])
def test_a_creation_whose_answer_is_lost_is_ours_and_happens_once(
    bench: Bench, fault: Fault, seen: See
) -> None:
    rule = bench.proxy.on("PUT", "claim", fault, 1)
    assert bench.store.create_once(bench.uri("claim"), b"ours")
    assert rule.hits == 1
    assert not bench.store.create_once(bench.uri("claim"), b"ours")
    seen(
        f"a conditional PUT is carried out and its answer lost ({fault_proxy.name_of(fault)})",
        "known as our own by its metadata",
        f"{bench.proxy.count('PUT', f'{bench.name}/claim')} requests",
    )


def test_what_a_refused_head_says_is_told_in_words(bench: Bench) -> None:
    bench.proxy.on("HEAD", "there", fault_proxy.expired_token)
    with pytest.raises(RowError) as caught:
        bench.store.head(bench.uri("there"))
    assert (caught.value.code, "expired token" in caught.value.reason) == ("forbidden", True)
