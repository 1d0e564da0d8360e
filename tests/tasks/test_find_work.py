"""Work that an inbox leaves, on a folder and on a real S3 server: names, digests, markers."""

import json
import uuid
from pathlib import Path

import pytest
from inboxes import LocalInbox
from sample_images import GREAT_WAVE, POPPIES, make_photographs
from servers import S3Server

from stylecore.batch.inbox import UploadsJob
from stylecore.batch.ledger import open_ledger
from stylecore.batch.store import Store
from stylecore.errors import JobError
from tasks import upload_styles
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.uploads import find_work, settle_run


@pytest.fixture
def place(tmp_path: Path) -> LocalInbox:
    return LocalInbox(tmp_path)


def make(store: Store, run_uris: list[str]) -> None:
    """Work through runs as a flow would."""
    for run_uri in run_uris:
        ledger = open_ledger(store, run_uri)
        for number in ledger.pending_shards():
            work_through_shard(ledger, ShardRequest(run_uri, number, uuid.uuid4().hex))
        settle_run(store, ledger)


def test_names_from_the_listing_are_those_of_the_pictures(s3_environment: S3Server) -> None:
    client, folder = s3_environment.client(), uuid.uuid4().hex
    inbox, store = f"inbox/{folder}", Store()
    client.pipe_file(f"{inbox}/styles/wave.jpg", GREAT_WAVE.read_bytes())
    client.pipe_file(f"{inbox}/styles/wave.yaml", b"method: identity\n")
    names = ("a b+c%20\u00e9.jpg", "deep/er/two.jpg", ".hidden.jpg", "three.jpg")
    for name, data in zip(names, make_photographs(4).values(), strict=True):
        client.pipe_file(f"{inbox}/wave/{name}", data)
    job = UploadsJob(
        inbox_uri=f"s3://{inbox}", output_uri=f"s3://outbox/{folder}", max_side_px=32, device="cpu"
    )
    first = find_work(store, job, tries_again=True)
    assert (len(first.runs), first.num_photographs) == (1, 3)
    make(store, first.runs)
    assert len(client.find(f"outbox/{folder}/images/wave")) == 3
    assert find_work(store, job, tries_again=True).runs == []
    client.pipe_file(f"{inbox}/wave/three.jpg", make_photographs(5)["photo04.jpg"])
    second = find_work(store, job, tries_again=True)
    assert open_ledger(store, second.runs[0]).record.planned == 1


def test_paintings_are_read_once_and_again_when_they_change(
    place: LocalInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    check = upload_styles.check_style

    def count(store: Store, job: object, source: object, generator: bytes | None) -> str:
        read.append(str(source))
        return check(store, job, source, generator)  # type: ignore[arg-type]

    monkeypatch.setattr(upload_styles, "check_style", count)
    for style in ("wave", "sea", "unused"):
        place.put_style(style, "method: identity\n")
    for style in ("wave", "sea"):
        place.put_photographs(style, 1)
    store = Store()
    for _ in range(3):
        make(store, find_work(store, place.job(), tries_again=True).runs)
    assert len(read) == 2
    place.put("styles/sea.jpg", POPPIES.read_bytes())
    find_work(store, place.job(), tries_again=True)
    assert len(read) == 3
    assert "sea.jpg" in read[-1]


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 10_000])
def test_digests_that_cannot_be_read_are_taken_again(place: LocalInbox, content: str) -> None:
    place.put_style("wave", "method: identity\n")
    place.put_photographs("wave", 1)
    digests = place.output / "uploads" / "digests.json"
    digests.parent.mkdir(parents=True)
    digests.write_text(content)
    assert len(find_work(Store(), place.job(), tries_again=True).runs) == 1
    assert len(json.loads(digests.read_text())) == 1


def test_equal_photographs_of_equal_name_are_one_picture(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\n")
    data = make_photographs(1)["photo00.jpg"]
    place.put("wave/monday/one.jpg", data)
    place.put("wave/tuesday/one.jpg", data)
    store = Store()
    (run_uri,) = find_work(store, place.job(), tries_again=True).runs
    assert open_ledger(store, run_uri).record.planned == 1
    make(store, [run_uri])
    assert find_work(store, place.job(), tries_again=True).runs == []


def test_a_key_that_no_manifest_takes_fails_once(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\n")
    place.put("wave/back\\slash.jpg", make_photographs(1)["photo00.jpg"])
    store = Store()
    make(store, find_work(store, place.job(), tries_again=True).runs)
    (note,) = place.failures().values()
    assert note["error_code"] == "bad_key"
    assert find_work(store, place.job(), tries_again=True).runs == []


def test_looking_twice_plans_the_same_run(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\n")
    place.put_photographs("wave", 2)
    store = Store()
    first = find_work(store, place.job(), tries_again=True).runs
    place.put_photographs("wave", 3)
    assert find_work(store, place.job(), tries_again=True).runs == first  # it is to be finished
    make(store, first)
    second = find_work(store, place.job(), tries_again=True).runs
    assert open_ledger(store, second[0]).record.planned == 1


def test_a_marker_of_a_run_that_somebody_removed_is_removed(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\n")
    place.put_photographs("wave", 1)
    marker = place.output / "uploads" / "open" / "0123456789abcdef"
    marker.parent.mkdir(parents=True)
    marker.write_bytes(b"")
    assert len(find_work(Store(), place.job(), tries_again=True).runs) == 1
    assert not marker.exists()


def test_a_run_of_a_style_that_waits_waits_too(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\n")
    place.put_photographs("wave", 1)
    store = Store()
    first = find_work(store, place.job(), tries_again=True).runs
    settings = place.inbox / "styles" / "wave.yaml"
    right = settings.read_text()
    settings.write_text("method: [")
    waiting = find_work(store, place.job(), tries_again=True)
    assert (waiting.runs, list(waiting.waiting)) == ([], ["wave"])
    settings.write_text(right)
    place.put_photographs("wave", 2)  # a run planned anew would have both
    assert find_work(store, place.job(), tries_again=True).runs == first


def test_a_bucket_that_is_not_there_is_a_wrong_request(s3_environment: S3Server) -> None:
    job = UploadsJob(inbox_uri="s3://no-such-inbox", output_uri="s3://outbox/none")
    with pytest.raises(JobError, match="inbox: s3://no-such-inbox: there is no such bucket"):
        find_work(Store(), job, tries_again=True)
