"""The main flow in this process: what comes of folders, job files and bad rows, and resuming."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from local_jobs import LocalBucket
from PIL import Image
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from stub_stylizers import Invert

from deployments.requests import build_job
from flows.retry_run import retry_run
from flows.stylize_manifest import stylize_manifest
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from tasks.preparing import prepare_run
from tasks.stylize_shards import stylize_shards

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness")]


def run(job: StylizeJob) -> State[dict[str, Any]]:
    return stylize_manifest(job, return_state=True)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are tried again at once."""
    hurried = stylize_shards.with_options(retry_delay_seconds=0)
    monkeypatch.setattr("tasks.fan_out.stylize_shards", hurried)


def test_a_folder_is_stylized_with_the_folders_in_it(bucket: LocalBucket) -> None:
    bucket.fill(4)
    deep = bucket.photographs / "deep" / "er"
    deep.mkdir(parents=True)
    (bucket.photographs / "photo03.jpg").rename(deep / "photo03.jpg")
    state = run(bucket.job(method="identity"))
    assert state.is_completed()
    assert state.message == "made 4, skipped 0, failed 0"
    stems = [path.name.rpartition("-")[0] for path in bucket.pictures()]
    assert stems == ["photo00", "photo01", "photo02", "photo03"]
    assert [row["row_id"] for row in bucket.results()] == ["0", "1", "2", "3"]
    assert bucket.results()[0]["content_uri"] == str(deep / "photo03.jpg")


def test_a_job_file_says_everything(bucket: LocalBucket) -> None:
    bucket.fill(2)
    path = bucket.folder / "job.yaml"
    path.write_text(
        f"manifest_uri: {bucket.photographs}\nstyles: [{bucket.folder}/wave.jpg]\n"
        f"output_uri: {bucket.output}\nmethod: identity\nmax_side_px: 40\noutput: {{format: png}}\n"
    )
    assert run(build_job(path, {}, [])).is_completed()
    assert len(bucket.pictures()) == 2
    for picture in bucket.pictures():
        with Image.open(picture) as image:
            assert (image.format, max(image.size)) == ("PNG", 40)


def test_an_empty_folder_is_a_run_of_no_rows(bucket: LocalBucket) -> None:
    bucket.fill(0)
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 0, skipped 0, failed 0")
    assert bucket.summary()["planned"] == 0
    assert list(bucket.output.glob("runs/*/report.html"))
    assert run(bucket.job()).is_completed()


def test_bad_files_fail_their_own_rows_only(bucket: LocalBucket, invert: Invert) -> None:
    bucket.fill(3)
    (bucket.photographs / "empty.jpg").write_bytes(b"")
    (bucket.photographs / "page.jpg").write_text("<html>")
    whole = (bucket.photographs / "photo00.jpg").read_bytes()
    (bucket.photographs / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 3, skipped 0, failed 3")
    failed = {
        Path(r["content_uri"]).stem: r["error_code"] for r in bucket.results() if r["error_code"]
    }
    assert failed == {"empty": "empty", "page": "not_an_image", "torn": "truncated"}
    assert bucket.summary()["failed_by_code"] == {"empty": 1, "not_an_image": 1, "truncated": 1}
    assert len(invert.stylized) == 3


def test_every_style_gets_its_own_pictures(bucket: LocalBucket, invert: Invert) -> None:
    bucket.fill(2)
    other = bucket.folder / "other.jpg"
    other.write_bytes((bucket.photographs / "photo01.jpg").read_bytes())
    styles = [str(bucket.folder / "wave.jpg"), str(other)]
    assert run(bucket.job(styles=styles, limits={"rows_per_shard": 1})).is_completed()
    folders = [path.parent.name for path in bucket.pictures()]
    assert folders == ["other", "other", "wave", "wave"]
    assert len(list(bucket.output.glob("runs/*/results/*"))) == 4


def test_running_again_touches_nothing(bucket: LocalBucket, invert: Invert) -> None:
    bucket.fill(3)
    run(bucket.job())
    before = stamps(bucket.output)
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 0, skipped 3, failed 0")
    assert stamps(bucket.output) == before
    assert len(invert.stylized) == 3


def test_resuming_makes_only_what_is_missing_and_counts_what_it_finds_as_made(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(4)
    run(bucket.job())
    expected = {row["row_id"]: row for row in bucket.results()}
    lost = bucket.pictures()[2]
    others = {path: os.stat(path).st_mtime_ns for path in bucket.pictures() if path != lost}
    lost.unlink()
    for name in ("results/00000.parquet", "summary.json"):
        next(bucket.output.glob(f"runs/*/{name}")).unlink()
    invert.stylized.clear()
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 4, skipped 0, failed 0")
    assert invert.stylized == [2]
    assert {path: os.stat(path).st_mtime_ns for path in bucket.pictures() if path != lost} == others
    unchanged = ("status", "output_sha256", "width_px", "lpips_content", "total_loss", "device")
    for row in bucket.results():
        assert [row[name] for name in unchanged] == [
            expected[row["row_id"]][name] for name in unchanged
        ]
        is_new = row["row_id"] == "2"
        assert (row["seconds"] is not None, row["evaluations"]) == (is_new, 5 if is_new else None)


def test_half_a_picture_that_was_left_behind_is_made_again(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    run(bucket.job())
    torn = bucket.pictures()[1]
    whole = torn.read_bytes()
    torn.write_bytes(whole[:200])
    next(bucket.output.glob("runs/*/results/*")).unlink()
    invert.stylized.clear()
    assert run(bucket.job()).message == "made 2, skipped 0, failed 0"
    assert (invert.stylized, torn.read_bytes()) == ([1], whole)


@pytest.mark.usefixtures("_no_waiting")
def test_a_fault_that_passes_is_survived_without_making_a_picture_twice(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(4)
    invert.faults = 1
    state = run(bucket.job())
    assert (state.is_completed(), state.message) == (True, "made 4, skipped 0, failed 0")
    assert (len(bucket.results()), invert.stylized) == (4, [0, 1, 2, 3])


@pytest.mark.usefixtures("_no_waiting")
def test_a_fault_that_stays_fails_the_run_and_leaves_the_shard_to_do(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(4)
    invert.faults = 99
    job = bucket.job(limits={"rows_per_shard": 3})
    state = run(job)
    assert state.is_failed()
    assert state.message == (
        "made 1, skipped 0, failed 0, still to do 3; start the job again to go on"
    )
    assert [row["shard"] for row in bucket.results()] == [1]
    invert.faults = 0
    again = run(job)
    assert (again.is_completed(), bucket.summary()["made"]) == (True, 4)


def test_a_painting_that_changed_after_planning_is_refused_without_trying_again(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(2)
    ledger = prepare_run(Store(), bucket.job())
    (bucket.folder / "wave.jpg").write_bytes((bucket.photographs / "photo00.jpg").read_bytes())
    started = time.monotonic()
    state = retry_run(ledger.run_uri, return_state=True)
    assert state.is_failed()
    assert time.monotonic() - started < 5
    assert (invert.stylized, bucket.pictures()) == ([], [])


def test_retrying_makes_failed_rows_only_and_counts_them_alone(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(3)
    late = bucket.photographs / "photo01.jpg"
    data = late.read_bytes()
    names = [{"id": path.stem, "file_name": path.name} for path in bucket.photographs.glob("*.jpg")]
    late.unlink()
    job = bucket.job(manifest_uri=str(bucket.manifest(*names)))
    assert run(job).message == "made 2, skipped 0, failed 1"
    late.write_bytes(data)
    (folder,) = bucket.output.glob("runs/*")
    state = retry_run(str(folder), return_state=True)
    assert (state.is_completed(), state.message) == (True, "made 1, skipped 2, failed 0")
    progress = Artifact.get(f"progress-{folder.name}")
    assert progress is not None
    assert progress.data == 100.0
    assert str(progress.description).startswith("1/1: made 1, skipped 0, failed 0; ")
    assert len(invert.stylized) == 3
    assert (bucket.results()[-1]["row_id"], bucket.results()[-1]["attempt"]) == ("photo01", 2)
    again = retry_run(str(folder), return_state=True)
    assert again.message == "made 0, skipped 3, failed 0"


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): os.stat(path).st_mtime_ns for path in folder.rglob("*") if path.is_file()}
