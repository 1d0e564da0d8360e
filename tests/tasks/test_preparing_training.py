"""The same request goes on, another one is refused, and nothing is written for a wrong one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from local_jobs import LocalBucket
from sample_images import POPPIES
from training_jobs import TINY, training_job

from stylecore.batch.store import Store
from stylecore.errors import JobError
from tasks.preparing_training import prepare_training


@pytest.fixture
def filled(bucket: LocalBucket) -> LocalBucket:
    bucket.fill(2)
    return bucket


def test_same_request_finds_the_same_training_on_any_device(filled: LocalBucket) -> None:
    first = prepare_training(Store(), training_job(filled))
    record = Path(first.uri("job.json")).read_bytes()
    again = prepare_training(Store(), training_job(filled, device="cuda"))
    assert again.record == first.record
    assert Path(first.uri("job.json")).read_bytes() == record


def test_relative_names_are_made_whole(
    filled: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled.folder)
    names = {"styles": ["wave.jpg"], "content_uri": "in/", "output_uri": "refiner"}
    folder = prepare_training(Store(), training_job(filled, **names))
    assert folder.record.job == training_job(filled)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"training": {**TINY, "num_steps": 5}}, r"training\.num_steps was 4 and is 5"),
        ({"max_side_px": 48}, "max_side_px was 32 and is 48"),
        ({"license": "CC0"}, "license was '' and is 'CC0'"),
    ],
)
def test_another_request_on_the_same_output_is_refused_with_what_differs(
    filled: LocalBucket, changes: dict[str, Any], told: str
) -> None:
    prepare_training(Store(), training_job(filled))
    with pytest.raises(JobError, match=f"{told}.*name another output"):
        prepare_training(Store(), training_job(filled, **changes))


def test_painting_that_changed_makes_another_request(filled: LocalBucket) -> None:
    prepare_training(Store(), training_job(filled))
    shutil.copy(POPPIES, filled.folder / "wave.jpg")
    with pytest.raises(JobError, match="a painting's file has changed"):
        prepare_training(Store(), training_job(filled))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"content_uri": "{folder}/no"}, "content: .*/no: there is no such folder"),
        ({"content_uri": "{folder}/empty"}, "content: .*/empty: the folder is empty"),
        ({"content_uri": "ftp://a/b"}, "content: .*'ftp' is not allowed"),
        ({"styles": ["{folder}/no.jpg"]}, r"style: .*no\.jpg"),
        ({"styles": ["{folder}/in/notes.txt"]}, "style: .*cannot decode image"),
        ({"pictures_uri": "{folder}/out/runs/0123"}, "there is no run here"),
        ({"output_uri": "{folder}/wave.jpg/out"}, "output cannot be written"),
    ],
)
def test_wrong_request_is_refused_and_nothing_is_written(
    filled: LocalBucket, changes: dict[str, Any], told: str
) -> None:
    (filled.folder / "empty").mkdir()
    (filled.photographs / "notes.txt").write_text("not a picture")
    filled_in = {
        name: [uri.format(folder=filled.folder) for uri in value]
        if isinstance(value, list)
        else value.format(folder=filled.folder)
        for name, value in changes.items()
    }
    with pytest.raises(JobError, match=told):
        prepare_training(Store(), training_job(filled, **filled_in))
    assert not list(filled.folder.glob("refiner/*"))
