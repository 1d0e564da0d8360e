"""What a translator is to learn from: two folders, whole and apart."""

from pathlib import Path
from typing import Any

import pytest
from local_jobs import LocalBucket
from sample_images import GREAT_WAVE, POPPIES

from stylecore.batch.store import Store
from stylecore.errors import JobError
from stylecore.training.request import TrainTranslatorJob
from tasks.preparing_training import prepare_training
from tasks.training_sources import clean_photographs


@pytest.fixture
def filled(bucket: LocalBucket) -> LocalBucket:
    bucket.fill(2)
    paintings = bucket.folder / "paintings"
    paintings.mkdir()
    for painting in (GREAT_WAVE, POPPIES):
        (paintings / painting.name).write_bytes(painting.read_bytes())
    return bucket


def job_of(bucket: LocalBucket, **fields: Any) -> TrainTranslatorJob:
    values = {
        "from_uri": str(bucket.photographs),
        "to_uri": str(bucket.folder / "paintings"),
        "output_uri": str(bucket.folder / "paint"),
        **fields,
    }
    return TrainTranslatorJob.model_validate(values)


def test_relative_names_are_made_whole(
    filled: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled.folder)
    names = {"from_uri": "in/", "to_uri": "paintings", "output_uri": "paint"}
    folder = prepare_training(Store(), job_of(filled, **names))
    assert folder.record.job == job_of(filled)
    assert folder.record.network == "translator"
    assert folder.weights_uri == str(filled.folder / "paint" / "generator.safetensors")


def test_another_request_on_the_same_output_is_refused_with_what_differs(
    filled: LocalBucket,
) -> None:
    prepare_training(Store(), job_of(filled))
    with pytest.raises(JobError, match="max_side_px was 512 and is 64"):
        prepare_training(Store(), job_of(filled, max_side_px=64))


@pytest.mark.parametrize("name", ["from", "to"])
def test_a_folder_that_is_not_there_or_empty_is_refused_by_name(
    filled: LocalBucket, name: str
) -> None:
    missing = filled.folder / "elsewhere"
    with pytest.raises(JobError, match=f"{name}: .*elsewhere: there is no such folder"):
        prepare_training(Store(), job_of(filled, **{f"{name}_uri": str(missing)}))
    missing.mkdir()
    with pytest.raises(JobError, match=f"{name}: .*elsewhere: the folder is empty"):
        prepare_training(Store(), job_of(filled, **{f"{name}_uri": str(missing)}))
    assert not (filled.folder / "paint" / "job.json").exists()


@pytest.mark.parametrize("inner", ["", "part"])
def test_folders_that_share_pictures_are_refused(filled: LocalBucket, inner: str) -> None:
    shared = str(filled.photographs / inner)
    with pytest.raises(JobError, match="share pictures: put each kind"):
        prepare_training(Store(), job_of(filled, to_uri=shared))


def test_both_folders_are_cleaned_and_told_apart(filled: LocalBucket) -> None:
    report = clean_photographs(prepare_training(Store(), job_of(filled)))
    folders = [Path(uri).parent.name for uri in report.kept]
    assert folders == [filled.photographs.name] * 2 + ["paintings"] * 2
