"""What a refiner learns from: photographs that are fit, and pictures in the right style."""

import shutil
from pathlib import Path

import pytest
from local_jobs import LocalBucket
from sample_images import POPPIES
from training_jobs import make_run, training_job

from stylecore.batch.store import Store
from stylecore.errors import JobError
from tasks.preparing_training import prepare_training
from tasks.training_folder import CleaningReport, TrainingFolder
from tasks.training_sources import choose_pictures, clean_photographs


@pytest.fixture
def messy(bucket: LocalBucket) -> LocalBucket:
    """Three photographs, a copy of one, and something that is none."""
    bucket.fill(3)
    shutil.copy(bucket.photographs / "photo00.jpg", bucket.photographs / "photo99.jpg")
    (bucket.photographs / "notes.txt").write_text("not a picture")
    return bucket


def names(uris: tuple[str, ...]) -> list[str]:
    return [Path(uri).name for uri in uris]


def test_what_is_not_fit_is_dropped_and_the_report_says_why(messy: LocalBucket) -> None:
    folder = prepare_training(Store(), training_job(messy))
    report = clean_photographs(folder)
    assert names(report.kept) == ["photo00.jpg", "photo01.jpg", "photo02.jpg"]
    reasons = {Path(one.uri).name: one.reason for one in report.dropped}
    assert reasons == {"notes.txt": "broken", "photo99.jpg": "duplicate"}
    assert report.line() == "kept 3 of 5 photographs; dropped 1 broken, 1 duplicate"
    written = Path(folder.uri("cleaning.json")).read_text()
    assert CleaningReport.model_validate_json(written) == report


def test_unreadable_photograph_is_dropped_with_the_stores_reason(
    messy: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare_training(Store(), training_job(messy))
    uris = [str(messy.photographs / name) for name in ("photo00.jpg", "gone.jpg")]
    monkeypatch.setattr("tasks.training_sources.find_photographs", lambda *_: iter(uris))
    (dropped,) = clean_photographs(folder).dropped
    assert (dropped.uri, dropped.reason) == (uris[1], "broken")
    assert "no such object" in dropped.detail


def test_photographs_that_come_later_change_nothing_in_a_training_that_was_started(
    messy: LocalBucket,
) -> None:
    folder = prepare_training(Store(), training_job(messy))
    first = clean_photographs(folder)
    (messy.photographs / "photo01.jpg").rename(messy.photographs / "renamed.jpg")
    assert clean_photographs(folder) == first


def test_own_output_and_paintings_are_no_photographs(messy: LocalBucket) -> None:
    painting = str(shutil.copy(messy.folder / "wave.jpg", messy.photographs))
    output = messy.photographs / "refiner"
    job = training_job(messy, styles=[painting], output_uri=str(output))
    output.mkdir()
    shutil.copy(POPPIES, output / "sample.jpg")
    report = clean_photographs(prepare_training(Store(), job))
    assert report.photographs == 5
    assert len(report.kept) == 3


def test_folder_without_a_fit_photograph_is_told_and_looked_at_again(messy: LocalBucket) -> None:
    only_notes = messy.folder / "notes"
    only_notes.mkdir()
    shutil.copy(messy.photographs / "notes.txt", only_notes)
    folder = prepare_training(Store(), training_job(messy, content_uri=str(only_notes)))
    with pytest.raises(JobError, match=r"kept 0 of 1 photographs.*cleaning\.json"):
        clean_photographs(folder)
    shutil.copy(messy.photographs / "photo00.jpg", only_notes)
    assert len(clean_photographs(folder).kept) == 1


@pytest.fixture
def two_styles(bucket: LocalBucket) -> LocalBucket:
    bucket.fill(2)
    shutil.copy(POPPIES, bucket.folder / "poppies.jpg")
    return bucket


def test_pictures_of_a_run_are_those_in_the_named_style(two_styles: LocalBucket) -> None:
    styles = [str(two_styles.folder / name) for name in ("wave.jpg", "poppies.jpg")]
    run = make_run(two_styles, styles=styles)
    job = training_job(two_styles, styles=styles[1:], pictures_uri=run.run_uri)
    chosen = choose_pictures(run, job)
    assert [(Path(one.content_uri).name, one.style) for one in chosen] == [
        ("photo00.jpg", "poppies"),
        ("photo01.jpg", "poppies"),
    ]
    both = training_job(two_styles, styles=styles, pictures_uri=run.run_uri)
    assert len(choose_pictures(run, both)) == 4


def test_run_of_one_style_is_in_that_style_wherever_its_painting_is(
    two_styles: LocalBucket,
) -> None:
    run = make_run(two_styles)
    elsewhere = str(shutil.copy(two_styles.folder / "wave.jpg", two_styles.folder / "copy.jpg"))
    job = training_job(two_styles, styles=[elsewhere], pictures_uri=run.run_uri)
    assert len(choose_pictures(run, job)) == 2


def test_named_folder_of_photographs_says_which_pictures_of_a_run_count(
    two_styles: LocalBucket,
) -> None:
    inner = two_styles.photographs / "inner"
    inner.mkdir()
    (two_styles.photographs / "photo01.jpg").rename(inner / "photo01.jpg")
    run = make_run(two_styles)
    job = training_job(two_styles, content_uri=str(inner), pictures_uri=run.run_uri)
    assert [one.content_uri for one in choose_pictures(run, job)] == [str(inner / "photo01.jpg")]
    folder = prepare_training(Store(), job)
    assert names(clean_photographs(folder).kept) == ["photo01.jpg"]


def test_run_without_pictures_in_the_style_is_refused_with_those_that_it_has(
    two_styles: LocalBucket,
) -> None:
    styles = [str(two_styles.folder / name) for name in ("wave.jpg", "poppies.jpg")]
    run = make_run(two_styles, styles=styles)
    other = str(shutil.copy(POPPIES, two_styles.folder / "other.jpg"))
    job = training_job(two_styles, styles=[other], pictures_uri=run.run_uri)
    with pytest.raises(JobError, match=r"no pictures in .*other\.jpg.*It has 4 in .*wave\.jpg"):
        prepare_training(Store(), job)
    assert not Path(job.output_uri, "job.json").exists()


def test_run_without_any_picture_is_refused(two_styles: LocalBucket) -> None:
    run = make_run(two_styles)
    for path in Path(run.run_uri).glob("results/*"):
        path.unlink()
    job = training_job(two_styles, pictures_uri=run.run_uri)
    with pytest.raises(JobError, match=r"no pictures to learn from\. Finish it first"):
        prepare_training(Store(), job)


def test_record_of_something_else_is_not_overwritten(bucket: LocalBucket) -> None:
    bucket.fill(1)
    job = training_job(bucket)
    Path(job.output_uri).mkdir()
    Path(job.output_uri, "job.json").write_text('{"run_id": "0123"}')
    with pytest.raises(JobError, match="name another output folder"):
        prepare_training(Store(), job)
    with pytest.raises(JobError, match="no training was started here"):
        _ = TrainingFolder(Store(), str(bucket.folder / "nowhere")).record
