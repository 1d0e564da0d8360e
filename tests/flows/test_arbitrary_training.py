"""A whole training of an arbitrary generator as a flow, and pictures made with what came of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from sample_images import make_photographs
from training_jobs import tiny_perception

from flows.stylize_manifest import stylize_manifest
from flows.train_arbitrary import train_arbitrary
from stylecore.errors import JobError
from stylecore.perception.encoder import Encoder
from stylecore.stylizer import passes
from stylecore.training.request import TrainArbitraryJob
from tasks import training
from tasks.preparing_training import prepare_training
from tasks.storage import store
from tasks.training_folder import TrainingFolder

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness", "_tiny_networks")]

TINY = {
    "num_steps": 3,
    "crop_px": 32,
    "width": 4,
    "num_blocks": 0,
    "num_views": 4,
    "num_validations": 1,
    "num_validation_photographs": 1,
    "num_validation_paintings": 1,
}


@pytest.fixture
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_perception", lambda _device: tiny_perception(tiny_encoder))
    monkeypatch.setattr(passes, "default_vgg16", lambda _device: tiny_encoder)


@pytest.fixture
def paintings(bucket: LocalBucket) -> Path:
    bucket.fill(3)
    folder = bucket.folder / "paintings"
    folder.mkdir()
    for name, data in make_photographs(2).items():
        (folder / name).write_bytes(data)
    (folder / "notes.txt").write_text("not a painting")
    return folder


def arbitrary_job(bucket: LocalBucket, **fields: Any) -> TrainArbitraryJob:
    values = {
        "styles_uri": str(bucket.folder / "paintings"),
        "content_uri": str(bucket.photographs),
        "output_uri": str(bucket.folder / "network"),
        "max_side_px": 64,
        "device": "cpu",
        "training": TINY,
        **fields,
    }
    return TrainArbitraryJob.model_validate(values)


def files_in(bucket: LocalBucket) -> list[Path]:
    return [path for path in bucket.folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("paintings")
def test_folders_become_a_generator_that_takes_any_painting(bucket: LocalBucket) -> None:
    job = arbitrary_job(bucket)
    state = train_arbitrary(job, return_state=True)
    assert state.is_completed(), state.message
    assert str(state.message).startswith("trained on 3 photographs and 2 paintings; best after")
    folder = TrainingFolder(store(), job.output_uri)
    assert Artifact.get(f"arbitrary-{folder.id}") is not None
    card = json.loads(Path(folder.uri("card.json")).read_text())
    assert (card["kind"], card["styles_uri"]) == ("arbitrary", job.styles_uri)
    report = json.loads(Path(folder.uri("paintings.json")).read_text())
    assert (report["photographs"], len(report["kept"])) == (3, 2)

    run = bucket.job(method="generator", generator=job.output_uri)  # the wave, never seen before
    assert stylize_manifest(run, return_state=True).is_completed()
    assert len(bucket.pictures()) == 3


@pytest.mark.usefixtures("paintings")
def test_finished_arbitrary_training_is_left_as_it_is(bucket: LocalBucket) -> None:
    job = arbitrary_job(bucket)
    first = train_arbitrary(job, return_state=True)
    before = {path: path.stat().st_mtime_ns for path in files_in(bucket)}
    second = train_arbitrary(job, return_state=True)
    assert (second.is_completed(), second.message) == (True, first.message)
    assert before == {path: path.stat().st_mtime_ns for path in files_in(bucket)}


def test_folders_that_are_missing_or_empty_are_refused(
    bucket: LocalBucket, paintings: Path
) -> None:
    for name, field in (("styles", "styles_uri"), ("content", "content_uri")):
        with pytest.raises(JobError, match=f"{name}: .*there is no such folder"):
            prepare_training(store(), arbitrary_job(bucket, **{field: str(paintings / "none")}))
        empty = bucket.folder / f"empty-{name}"
        empty.mkdir()
        with pytest.raises(JobError, match=f"{name}: .*the folder is empty"):
            prepare_training(store(), arbitrary_job(bucket, **{field: str(empty)}))


def test_folder_without_a_fit_painting_says_so(bucket: LocalBucket, paintings: Path) -> None:
    for path in paintings.iterdir():
        path.write_text("not a painting")
    state = train_arbitrary(arbitrary_job(bucket), return_state=True)
    assert state.is_failed()
    assert "no painting is fit to train on: kept 0 of 3 paintings" in str(state.message)


@pytest.mark.usefixtures("paintings")
def test_another_request_on_the_same_output_is_refused(bucket: LocalBucket) -> None:
    prepare_training(store(), arbitrary_job(bucket))
    other = arbitrary_job(bucket, training={**TINY, "style_weight": 5.0})
    with pytest.raises(JobError, match=r"style_weight was 10\.0 and is 5\.0"):
        prepare_training(store(), other)
