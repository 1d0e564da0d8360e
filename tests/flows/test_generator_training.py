"""A whole training of a generator as a flow, and a run with what came of it."""

from pathlib import Path

import pytest
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from sample_images import POPPIES
from training_jobs import tiny_perception

from flows.stylize_manifest import stylize_manifest
from flows.train_generator import train_generator
from stylecore.errors import JobError
from stylecore.generate.files import load_generator
from stylecore.perception.encoder import Encoder
from stylecore.training.request import TrainGeneratorJob
from tasks import training
from tasks.preparing_training import prepare_training
from tasks.storage import store
from tasks.training_folder import TrainingFolder

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness", "_tiny_networks")]

TINY = {
    "num_steps": 4,
    "batch_size": 2,
    "crop_px": 32,
    "width": 4,
    "num_blocks": 1,
    "num_validations": 2,
    "num_validation_photographs": 1,
}


@pytest.fixture
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_perception", lambda _device: tiny_perception(tiny_encoder))


def job_of(bucket: LocalBucket, **fields: object) -> TrainGeneratorJob:
    values = {
        "styles": [str(bucket.folder / "wave.jpg"), str(bucket.folder / "poppies.jpg")],
        "content_uri": str(bucket.photographs),
        "output_uri": str(bucket.folder / "generator"),
        "max_side_px": 48,
        "device": "cpu",
        "training": TINY,
        **fields,
    }
    return TrainGeneratorJob.model_validate(values)


@pytest.fixture
def job(bucket: LocalBucket) -> TrainGeneratorJob:
    bucket.fill(4)
    (bucket.folder / "poppies.jpg").write_bytes(POPPIES.read_bytes())
    return job_of(bucket)


def test_photographs_become_a_generator_and_it_makes_a_bucket_of_pictures(
    bucket: LocalBucket, job: TrainGeneratorJob
) -> None:
    (bucket.photographs / "notes.txt").write_text("not a picture")
    state = train_generator(job, return_state=True)
    assert state.is_completed(), state.message
    assert str(state.message).startswith("trained on 4 photographs for wave, poppies; best after")
    (bucket.photographs / "notes.txt").unlink()
    made = stylize_manifest(
        bucket.job(method="generator", generator=job.output_uri, styles=list(job.styles)),
        return_state=True,
    )
    assert made.is_completed()
    assert str(made.message) == "made 8, skipped 0, failed 0"
    assert {path.parent.name for path in bucket.pictures()} == {"wave", "poppies"}


def test_what_a_training_leaves(bucket: LocalBucket, job: TrainGeneratorJob) -> None:
    train_generator(job, return_state=True)
    folder = TrainingFolder(store(), job.output_uri)
    left = {path.name for path in Path(job.output_uri).iterdir()}
    assert left == {
        *("job.json", "cleaning.json", "samples", "curves.json", "curves.svg"),
        *("generator.safetensors", "card.json"),
    }
    card = folder.find_card()
    assert card is not None
    assert card["style_uris"] == list(job.styles)
    _, own = load_generator(Path(folder.weights_uri).read_bytes(), "here")
    assert own.metrics == card["metrics"]
    progress, curves = Artifact.get(f"training-{folder.id}"), Artifact.get(f"generator-{folder.id}")
    assert progress is not None
    assert progress.data == 100
    assert curves is not None
    assert "data:image/webp;base64," in str(curves.data)


def test_a_finished_training_is_not_repeated(
    job: TrainGeneratorJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_generator(job, return_state=True)
    monkeypatch.delattr(training, "load_perception")
    state = train_generator(job, return_state=True)
    assert state.is_completed()
    assert str(state.message).startswith("trained on 4 photographs")


def test_another_training_in_the_same_folder_is_refused(
    bucket: LocalBucket, job: TrainGeneratorJob
) -> None:
    prepare_training(store(), job)
    with pytest.raises(JobError, match=r"max_side_px was 48 and is 64"):
        prepare_training(store(), job_of(bucket, max_side_px=64))
