"""Names and ids that look alike, run the other way, or are long: each its own picture and row."""

import unicodedata
from uuid import uuid4

import pytest
from local_jobs import LocalBucket
from reliability import See
from sample_images import PHOTOGRAPHS, crop_jpeg

from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard

pytestmark = [pytest.mark.slow, pytest.mark.reliability, pytest.mark.usefixtures("invert")]

NAMES = (
    "\N{LATIN SMALL LETTER E WITH ACUTE}.jpg",
    "e\N{COMBINING ACUTE ACCENT}.jpg",  # looks the same
    "Photo.jpg",
    "photo.jpg",
    "\N{ARTIST PALETTE}\N{OCTOPUS}\N{ZERO WIDTH JOINER}.jpg",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.\N{ARABIC LETTER SEEN}\N{ARABIC LETTER MEEM}.jpg",
    "\N{CYRILLIC SMALL LETTER A}.jpg",
    "a.jpg",  # looks the same
    "a b+c%41#?&=.jpg",
    f"{'long' * 60}.jpg",
)


def photographs() -> dict[str, bytes]:
    """A photograph of its own for each name."""
    return {name: crop_jpeg(PHOTOGRAPHS[0], (64, 48), offset=8 * n) for n, name in enumerate(NAMES)}


def outcomes_of(bucket: LocalBucket, manifest_uri: str) -> list[Outcome]:
    """Run a job to its end, and read its ledger."""
    output = manifest_uri.rpartition("/in")[0] + "/out"
    ledger: RunLedger = prepare_run(
        Store(), bucket.job(manifest_uri=manifest_uri, output_uri=output)
    )
    for number in ledger.pending_shards():
        work_through_shard(ledger, ShardRequest(ledger.run_uri, number, uuid4().hex, device="cpu"))
    return list(ledger.outcomes())


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.e2e)])
def folder(request: pytest.FixtureRequest, bucket: LocalBucket) -> str:
    """Where photographs with all the names are."""
    bucket.fill(1)
    source = f"{bucket.folder}/odd/in"
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
        source = f"s3://inbox/{uuid4().hex}/in"
    for name, data in photographs().items():
        Store().write_bytes(f"{source}/{name}", data)
    return source


def test_each_odd_name_gets_a_picture_of_its_own(
    bucket: LocalBucket, folder: str, seen: See
) -> None:
    outcomes = outcomes_of(bucket, f"{folder}/")
    assert {outcome.status for outcome in outcomes} == {"made"}
    assert sorted(outcome.content_uri for outcome in outcomes) == sorted(
        f"{folder}/{name}" for name in NAMES
    )
    pictures = [str(outcome.output_uri).rpartition("/")[2] for outcome in outcomes]
    assert len({name.casefold() for name in pictures}) == len(NAMES)
    assert all(name.isascii() and len(name) < 100 for name in pictures), pictures
    where = "S3" if folder.startswith("s3:") else "a local folder"
    seen(
        f"keys that look alike, of either direction, emoji, long, in {where}",
        "each row its own picture, with a plain name",
        f"{len(pictures)} of {len(NAMES)} made",
    )


def test_odd_ids_stay_as_they_are(bucket: LocalBucket, seen: See) -> None:
    ids = [name.removesuffix(".jpg") for name in NAMES]
    assert len({unicodedata.normalize("NFC", one) for one in ids}) < len(ids), "some look alike"
    bucket.fill(len(ids))
    files = sorted(path.name for path in bucket.photographs.iterdir())
    manifest = bucket.manifest(
        *({"id": one, "file_name": file} for one, file in zip(ids, files, strict=True))
    )
    outcomes = outcomes_of(bucket, str(manifest))
    assert [outcome.row_id for outcome in outcomes] == ids
    assert {outcome.status for outcome in outcomes} == {"made"}
    seen(
        "ids that look alike (NFC and NFD), emoji, right-to-left, long",
        "kept to the letter, each its own row",
        f"{len(outcomes)} rows",
    )
