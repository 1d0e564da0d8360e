"""A whole training of a translator as a flow, and a run with what came of it."""

from pathlib import Path

import pytest
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from sample_images import GREAT_WAVE, POPPIES
from training_jobs import tiny_perception

from flows.stylize_manifest import stylize_manifest
from flows.train_translator import train_translator
from stylecore.generate.files import load_generator
from stylecore.perception.encoder import Encoder
from stylecore.training.request import TrainTranslatorJob
from tasks import training
from tasks.storage import store
from tasks.training_folder import TrainingFolder

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness", "_tiny_networks")]

TINY = {
    "num_steps": 4,
    "batch_size": 2,
    "crop_px": 32,
    "width": 4,
    "num_blocks": 1,
    "num_patches": 16,
    "num_validations": 2,
    "num_validation_photographs": 1,
}


@pytest.fixture
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_perception", lambda _device: tiny_perception(tiny_encoder))


@pytest.fixture
def job(bucket: LocalBucket) -> TrainTranslatorJob:
    bucket.fill(4)
    paintings = bucket.folder / "paintings"
    paintings.mkdir()
    for painting in (POPPIES, GREAT_WAVE):
        (paintings / painting.name).write_bytes(painting.read_bytes())
    values = {
        "from_uri": str(bucket.photographs),
        "to_uri": str(paintings),
        "output_uri": str(bucket.folder / "paint"),
        "max_side_px": 48,
        "device": "cpu",
        "training": TINY,
    }
    return TrainTranslatorJob.model_validate(values)


def test_two_folders_become_a_translator_and_it_makes_a_bucket_of_pictures(
    bucket: LocalBucket, job: TrainTranslatorJob
) -> None:
    (Path(job.to_uri) / "notes.txt").write_text("not a picture")
    state = train_translator(job, return_state=True)
    assert state.is_completed(), state.message
    assert str(state.message).startswith("trained on 4 and 2 pictures; best after step")
    made = stylize_manifest(
        bucket.job(method="generator", generator=job.output_uri, styles=[]), return_state=True
    )
    assert made.is_completed()
    assert str(made.message) == "made 4, skipped 0, failed 0"
    assert {path.parent.name for path in bucket.pictures()} == {"paint"}


def test_what_a_training_leaves(job: TrainTranslatorJob) -> None:
    train_translator(job, return_state=True)
    folder = TrainingFolder(store(), job.output_uri)
    left = {path.name for path in Path(job.output_uri).iterdir()}
    assert left == {
        *("job.json", "cleaning.json", "samples", "curves.json", "curves.svg"),
        *("generator.safetensors", "card.json"),
    }
    card = folder.find_card()
    assert card is not None
    assert (card["from_uri"], card["to_uri"]) == (job.from_uri, job.to_uri)
    _, own = load_generator(Path(folder.weights_uri).read_bytes(), "here")
    assert own.metrics == card["metrics"]
    progress = Artifact.get(f"training-{folder.id}")
    curves = Artifact.get(f"translator-{folder.id}")
    assert progress is not None
    assert progress.data == 100
    assert curves is not None
    assert "Photograph, translated" in str(curves.data)


def test_a_finished_training_is_not_repeated(
    job: TrainTranslatorJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_translator(job, return_state=True)
    monkeypatch.delattr(training, "load_perception")
    state = train_translator(job, return_state=True)
    assert state.is_completed()
    assert str(state.message).startswith("trained on 4 and 2 pictures")


def test_a_folder_of_no_pictures_ends_the_training_in_words(job: TrainTranslatorJob) -> None:
    for path in Path(job.to_uri).iterdir():
        path.write_text("not a picture")
    state = train_translator(job, return_state=True)
    assert state.is_failed()
    assert f"{job.to_uri}: no picture there is fit to train on" in str(state.message)
