"""Jobs with a generator that takes any painting: what is planned, refused, and fingerprinted."""

from pathlib import Path
from typing import Any

import pytest
from arbitrary_networks import tiny_arbitrary
from local_jobs import LocalBucket
from sample_images import make_photographs

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.perception.encoder import Encoder
from stylecore.stylizer import passes
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture(autouse=True)
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "default_vgg16", lambda _device: tiny_encoder)


@pytest.fixture
def weights(bucket: LocalBucket) -> Path:
    bucket.fill(3)
    path = bucket.folder / "network" / "generator.safetensors"
    path.parent.mkdir()
    path.write_bytes(tiny_arbitrary())
    return path


def paint(bucket: LocalBucket, *names: str) -> list[str]:
    """More paintings, beside the one that is there."""
    for name, data in zip(names, make_photographs(9).values(), strict=False):
        (bucket.folder / name).write_bytes(data)
    return [str(bucket.folder / name) for name in names]


def generating(bucket: LocalBucket, **fields: Any) -> StylizeJob:
    network = {"uri": str(bucket.folder / "network"), **fields.pop("generator", {})}
    return bucket.job(method="generator", generator=network, **fields)


def work(job: StylizeJob) -> RunLedger:
    run = prepare_run(Store(), job)
    for number in run.pending_shards():
        work_through_shard(run, ShardRequest(run.run_uri, number, run.run_id))
    return run


def test_every_photograph_is_made_in_every_painting(bucket, weights):
    styles = [str(bucket.folder / "wave.jpg"), *paint(bucket, "one.jpg", "two.jpg")]
    outcomes = [*work(generating(bucket, styles=styles)).outcomes()]
    assert {outcome.status for outcome in outcomes} == {"made"}
    assert len(outcomes) == 9
    assert len(bucket.pictures()) == 9


def test_rows_name_their_own_paintings(bucket, weights):
    paintings = paint(bucket, "one.jpg", "two.jpg")
    photographs = sorted(bucket.photographs.glob("*.*"))[:2]
    manifest = bucket.manifest(
        *(
            {"content_uri": str(photograph), "style_uri": painting}
            for photograph, painting in zip(photographs, paintings, strict=True)
        )
    )
    job = generating(bucket, manifest_uri=str(manifest), styles=[], allow=[str(bucket.folder)])
    outcomes = [*work(job).outcomes()]
    assert [outcome.status for outcome in outcomes] == ["made", "made"]
    assert {outcome.style_uri for outcome in outcomes} == {*paintings}


def test_job_without_a_painting_is_refused_before_anything_is_written(bucket, weights):
    with pytest.raises(JobError, match="takes any painting, and none is named"):
        prepare_run(Store(), generating(bucket, styles=[]))
    assert not bucket.output.exists() or not [*bucket.output.rglob("job.json")]


def test_row_without_a_painting_fails_alone(bucket, weights):
    (painting,) = paint(bucket, "one.jpg")
    photographs = sorted(bucket.photographs.glob("*.*"))[:2]
    manifest = bucket.manifest(
        {"content_uri": str(photographs[0]), "style_uri": painting},
        {"content_uri": str(photographs[1])},
    )
    job = generating(bucket, manifest_uri=str(manifest), styles=[], allow=[str(bucket.folder)])
    outcomes = [*work(job).outcomes()]
    assert {outcome.error_code for outcome in outcomes} == {None, "style_unknown"}


def test_another_strength_makes_other_pictures_beside_the_first(bucket, weights):
    work(generating(bucket))
    work(generating(bucket, generator={"strength": 0.5}))
    assert len(bucket.pictures()) == 6
    assert len({path.read_bytes() for path in bucket.pictures()}) == 6


def test_full_strength_need_not_be_named(bucket, weights):
    plain, named = (
        prepare_run(Store(), generating(bucket, generator=generator)).run_id
        for generator in ({}, {"strength": 1.0})
    )
    assert plain == named


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_strength_is_between_nothing_and_all(bucket, weights, strength):
    with pytest.raises(ValueError, match=r"generator\.strength"):
        generating(bucket, generator={"strength": strength})
