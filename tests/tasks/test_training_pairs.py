"""Pictures and their photographs as pairs: at one size, of one version, or left out with a word."""

from pathlib import Path

import numpy as np
import pytest
from local_jobs import LocalBucket
from PIL import Image
from training_jobs import make_run, training_job

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import JobError, StorageTimeoutError
from stylecore.images.codec import decode_image
from stylecore.images.resize import resize_content
from stylecore.training.request import TrainRefinerJob
from tasks.preparing_training import prepare_training
from tasks.training_folder import TrainingFolder
from tasks.training_pairs import Pairs, read_pairs
from tasks.training_sources import INPUT_LIMITS, clean_photographs


@pytest.fixture
def run(bucket: LocalBucket) -> RunLedger:
    bucket.fill(3)
    return make_run(bucket)


def job_of(folder: TrainingFolder) -> TrainRefinerJob:
    job = folder.record.job
    assert isinstance(job, TrainRefinerJob)
    return job


def read(bucket: LocalBucket, run: RunLedger) -> Pairs:
    folder = prepare_training(Store(), training_job(bucket, pictures_uri=run.run_uri))
    return read_pairs(run, job_of(folder), clean_photographs(folder).kept)


def test_pair_is_a_picture_and_its_photograph_at_the_pictures_size(
    bucket: LocalBucket, run: RunLedger
) -> None:
    found = read(bucket, run)
    assert found.left_out == []
    assert [pair.name for pair in found.pairs] == sorted(map(str, bucket.pictures()))
    for pair, path in zip(found.pairs, sorted(bucket.photographs.glob("*.jpg")), strict=True):
        photograph = decode_image(path.read_bytes(), str(path), INPUT_LIMITS)
        assert max(pair.stylized.shape) == 32
        np.testing.assert_array_equal(pair.content, resize_content(photograph, 32))


def test_photograph_that_changed_since_its_picture_was_made_is_left_out(
    bucket: LocalBucket, run: RunLedger
) -> None:
    with (bucket.photographs / "photo01.jpg").open("ab") as file:
        file.write(b"\0")  # after the end of the picture: the pixels stay
    found = read(bucket, run)
    assert len(found.pairs) == 2
    (left_out,) = found.left_out
    assert "photo01" in left_out.uri
    assert "changed after the picture was made" in left_out.reason


def test_picture_that_is_gone_is_left_out(bucket: LocalBucket, run: RunLedger) -> None:
    bucket.pictures()[0].unlink()
    (left_out,) = read(bucket, run).left_out
    assert "no such object" in left_out.reason


def test_picture_of_another_shape_is_left_out(bucket: LocalBucket, run: RunLedger) -> None:
    path = bucket.pictures()[0]
    with Image.open(path) as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.save(path)
    assert "its photograph would be" in read(bucket, run).left_out[0].reason


def test_photographs_that_are_not_fit_make_no_pairs(bucket: LocalBucket, run: RunLedger) -> None:
    folder = prepare_training(Store(), training_job(bucket, pictures_uri=run.run_uri))
    kept = [str(bucket.photographs / "photo02.jpg")]
    found = read_pairs(run, job_of(folder), kept)
    assert ["photo02" in pair.name for pair in found.pairs] == [True]


def test_run_whose_pictures_are_all_gone_is_refused_with_the_first_reason(
    bucket: LocalBucket, run: RunLedger
) -> None:
    for path in bucket.pictures():
        path.unlink()
    with pytest.raises(JobError, match=r"none of its pictures can be trained on: .*photo00-"):
        read(bucket, run)


def test_store_that_fails_for_a_moment_costs_no_pair(
    bucket: LocalBucket, run: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare_training(Store(), training_job(bucket, pictures_uri=run.run_uri))
    kept = clean_photographs(folder).kept

    def fail(uri: str, _most: int = 0) -> tuple[bytes, str]:
        raise StorageTimeoutError(uri, "no answer")

    outcomes = list(run.outcomes())
    monkeypatch.setattr(run, "outcomes", lambda: iter(outcomes))
    monkeypatch.setattr(run.store, "read_bytes", fail)
    with pytest.raises(StorageTimeoutError):
        read_pairs(run, job_of(folder), kept)
    assert Path(folder.uri("cleaning.json")).exists()
