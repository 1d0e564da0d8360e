"""A job with a generator, from the file to the results, on a local folder."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from generators import generator_file
from local_jobs import LocalBucket
from sample_images import POPPIES

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import JobError
from tasks.preparing import prepare_run
from tasks.scoring import read_scores, score_shard
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture
def weights(bucket: LocalBucket) -> Path:
    """A folder as training writes it, with a generator for the bucket's painting."""
    bucket.fill(3)
    folder = bucket.folder / "waves"
    folder.mkdir()
    write(folder, bucket.folder / "wave.jpg")
    return folder


def write(folder: Path, *paintings: Path, seed: int = 0) -> None:
    (folder / "generator.safetensors").write_bytes(generator_file(paintings, seed))


def run(bucket: LocalBucket, weights: Path, **fields: object) -> RunLedger:
    job = bucket.job(method="generator", generator=str(weights), **fields)
    ledger = prepare_run(Store(), job)
    for number in ledger.pending_shards():
        work_through_shard(ledger, ShardRequest(ledger.run_uri, number, uuid4().hex))
    return ledger


def folders(bucket: LocalBucket) -> set[str]:
    return {path.parent.name for path in bucket.pictures()}


def test_every_photograph_becomes_a_picture_in_the_style(
    bucket: LocalBucket, weights: Path
) -> None:
    ledger = run(bucket, weights)
    assert ledger.record.job.generator is not None
    assert ledger.record.job.generator.uri == str(weights / "generator.safetensors")
    assert [row["status"] for row in bucket.results()] == ["made"] * 3
    assert folders(bucket) == {"wave"}
    assert all(row["seconds"] > 0 and row["evaluations"] is None for row in bucket.results())


def test_the_only_style_needs_no_painting_and_is_named_after_the_generators_folder(
    bucket: LocalBucket, weights: Path
) -> None:
    run(bucket, weights, styles=[])
    assert [row["status"] for row in bucket.results()] == ["made"] * 3
    assert folders(bucket) == {"waves"}


def test_other_weights_make_another_run_and_other_pictures(
    bucket: LocalBucket, weights: Path
) -> None:
    first = run(bucket, weights)
    write(weights, bucket.folder / "wave.jpg", seed=1)
    second = run(bucket, weights)
    assert first.run_id != second.run_id
    assert len(bucket.pictures()) == 6


def test_the_same_weights_elsewhere_make_nothing_twice(bucket: LocalBucket, weights: Path) -> None:
    run(bucket, weights)
    moved = weights.rename(bucket.folder / "moved")
    run(bucket, moved)
    assert len(bucket.pictures()) == 3


def test_a_polished_picture_counts_its_evaluations(bucket: LocalBucket, weights: Path) -> None:
    run(bucket, weights, then={"optimize": {"num_evaluations": 2}})
    assert [row["evaluations"] for row in bucket.results()] == [2] * 3
    assert all(row["total_loss"] > 0 for row in bucket.results())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"generator": None}, "generator: name the generator to use"),
        ({"method": "optimize"}, "generator: is for the method generator"),
        ({"cascade": True}, "neither regions nor a cascade"),
        ({"then": {"optimize": {}}}, "say how many, such as 20"),
        ({"then": {"optimize": {"num_evaluations": 2, "init": "noise"}}}, "generator's picture"),
    ],
)
def test_a_contradictory_request_is_refused_in_words(
    bucket: LocalBucket, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        bucket.job(**{"method": "generator", "generator": "gen", **fields})


def test_what_is_no_generator_is_refused_before_anything_is_planned(
    bucket: LocalBucket, weights: Path
) -> None:
    (weights / "generator.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(JobError, match=r"generator: .* must be a safetensors file"):
        run(bucket, weights)
    assert not list(bucket.output.glob("runs/*"))


def test_a_painting_that_it_does_not_know_is_refused_before_anything_is_planned(
    bucket: LocalBucket, weights: Path
) -> None:
    (bucket.folder / "poppies.jpg").write_bytes(POPPIES.read_bytes())
    with pytest.raises(JobError, match="It knows wave"):
        run(bucket, weights, styles=[str(bucket.folder / "poppies.jpg")])
    assert not list(bucket.output.glob("runs/*"))


def test_of_several_styles_one_has_to_be_named(bucket: LocalBucket, weights: Path) -> None:
    (bucket.folder / "poppies.jpg").write_bytes(POPPIES.read_bytes())
    write(weights, bucket.folder / "wave.jpg", bucket.folder / "poppies.jpg")
    with pytest.raises(JobError, match="knows wave, poppies: name the painting"):
        run(bucket, weights, styles=[])
    run(bucket, weights, styles=[str(bucket.folder / name) for name in ("wave.jpg", "poppies.jpg")])
    assert folders(bucket) == {"wave", "poppies"}
    assert len(bucket.pictures()) == 6


def test_a_row_that_names_a_painting_that_it_does_not_know_fails_alone(
    bucket: LocalBucket, weights: Path
) -> None:
    (bucket.folder / "poppies.jpg").write_bytes(POPPIES.read_bytes())
    photographs = sorted(bucket.photographs.glob("*.jpg"))
    paintings = [bucket.folder / name for name in ("wave.jpg", "poppies.jpg", "wave.jpg")]
    rows = [
        {"content_uri": str(one), "style_uri": str(painting)}
        for one, painting in zip(photographs, paintings, strict=True)
    ]
    manifest = bucket.manifest(*rows)
    run(bucket, weights, manifest_uri=str(manifest), styles=[], allow=[str(bucket.folder)])
    codes = {Path(row["style_uri"]).stem: row["error_code"] for row in bucket.results()}
    assert codes == {"wave": None, "poppies": "style_unknown"}


def test_a_run_without_a_painting_cannot_be_scored_and_says_so(
    bucket: LocalBucket, weights: Path
) -> None:
    ledger = run(bucket, weights, styles=[])
    assert score_shard(ledger, 0, threading.Event()) == 3
    lines = list(read_scores(ledger, 0))
    assert {line.error_code for line in lines} == {"missing"}


def test_a_generated_picture_can_be_scored(bucket: LocalBucket, weights: Path) -> None:
    ledger = run(bucket, weights)
    score_shard(ledger, 0, threading.Event())
    lines = list(read_scores(ledger, 0))
    assert all((line.swdl or 0) > 0 for line in lines)


def test_rows_with_masks_are_refused(bucket: LocalBucket, weights: Path) -> None:
    photograph = sorted(bucket.photographs.glob("*.jpg"))[0]
    manifest = bucket.manifest({"content_uri": str(photograph), "mask_uri": str(photograph)})
    with pytest.raises(JobError, match="which no cascade and no generator takes"):
        run(bucket, weights, manifest_uri=str(manifest))
