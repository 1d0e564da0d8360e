"""A job with a translator: it is used as a generator, without any painting."""

from pathlib import Path
from uuid import uuid4

import pytest
from generators import translator_file
from local_jobs import LocalBucket

from stylecore.batch.store import Store
from stylecore.errors import JobError
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture
def weights(bucket: LocalBucket) -> Path:
    """A folder as training writes it."""
    bucket.fill(3)
    folder = bucket.folder / "paint"
    folder.mkdir()
    (folder / "generator.safetensors").write_bytes(translator_file())
    return folder


def run(bucket: LocalBucket, weights: Path, **fields: object) -> None:
    job = bucket.job(**{"method": "generator", "generator": str(weights), "styles": [], **fields})
    ledger = prepare_run(Store(), job)
    for number in ledger.pending_shards():
        work_through_shard(ledger, ShardRequest(ledger.run_uri, number, uuid4().hex))


def test_every_photograph_is_translated_without_a_painting(
    bucket: LocalBucket, weights: Path
) -> None:
    run(bucket, weights)
    assert [row["status"] for row in bucket.results()] == ["made"] * 3
    assert {path.parent.name for path in bucket.pictures()} == {"paint"}


def test_a_painting_that_is_named_with_it_is_refused_before_anything_is_planned(
    bucket: LocalBucket, weights: Path
) -> None:
    with pytest.raises(JobError, match=r"wave.jpg.*is a translator.*no --style"):
        run(bucket, weights, styles=[str(bucket.folder / "wave.jpg")])
    assert not list(bucket.output.glob("runs/*"))


def test_a_row_that_names_a_painting_fails_alone(bucket: LocalBucket, weights: Path) -> None:
    photographs = sorted(bucket.photographs.glob("*.jpg"))[:2]
    rows = [
        {"content_uri": str(photographs[0]), "style_uri": str(bucket.folder / "wave.jpg")},
        {"content_uri": str(photographs[1]), "style_uri": None},
    ]
    manifest = bucket.manifest(*rows)
    run(bucket, weights, manifest_uri=str(manifest), allow=[str(bucket.folder)])
    assert {row["error_code"] for row in bucket.results()} == {None, "style_unknown"}


def test_a_translated_picture_cannot_be_polished_towards_no_painting(
    bucket: LocalBucket, weights: Path
) -> None:
    with pytest.raises(JobError, match="then: .* leave then out \\(a translator has none"):
        run(bucket, weights, then={"optimize": {"num_evaluations": 2}})
    assert not list(bucket.output.glob("runs/*"))
