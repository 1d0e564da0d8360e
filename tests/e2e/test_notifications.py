"""Somebody is told of failed runs, failed rows and missing nights, and of nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import registrations
from local_jobs import LocalBucket
from prefect_servers import run_prefect
from stacks import wait_until
from unattended import PATIENCE_S, Unattended, run_listener

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

NIGHTLY = "stylize-manifest/nightly"
CHECK = "check-nightly/by-hour"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> LocalBucket:
    bucket = LocalBucket(tmp_path_factory.mktemp("bucket"))
    bucket.fill(2)
    return bucket


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, bucket: LocalBucket) -> Iterator[Unattended]:
    """Everything is registered; the night is far off, and no worker is there yet."""
    home = tmp_path_factory.mktemp("site")
    job = {**small(bucket), "styles": [str(bucket.folder / "wave.jpg")]}
    (home / "night.yaml").write_text(json.dumps(job))
    with run_listener() as listener, run_prefect(tmp_path_factory.mktemp("prefect")) as url:
        site = Unattended(url, home, listener)
        site.save_block()
        night = ("--nightly", "night.yaml", "--cron", "0 0 29 2 *", "--expect-by", "00:00")
        site.deploy(*night, "--notify", "custom-webhook/ops")
        yield site


def small(bucket: LocalBucket, **fields: Any) -> dict[str, Any]:
    return {
        "manifest_uri": f"{bucket.photographs}/",
        "styles": [{"uri": str(bucket.folder / "wave.jpg")}],
        "output_uri": str(bucket.output),
        "max_side_px": 32,
        "method": "identity",
        "device": "cpu",
        **fields,
    }


def state_at_the_end(site: Unattended, name: str, **parameters: Any) -> dict[str, Any]:
    run_id = registrations.start(site.url, name, **parameters)
    wait_until(lambda: registrations.has_ended(site.url, run_id), PATIENCE_S)
    return registrations.state(site.url, run_id)


def wait_for(site: Unattended, subject: str) -> str:
    wait_until(lambda: any(s.startswith(subject) for s in site.listener.subjects()), PATIENCE_S)
    return site.listener.body(subject)


def test_a_check_that_no_worker_takes_up_is_told(site: Unattended) -> None:
    registrations.start(site.url, CHECK)
    told = wait_for(site, "stylebatch: no nightly run by now")
    assert "(check-nightly) is Late" in told


def test_failed_rows_and_failed_runs_are_told_and_clean_ones_are_not(
    site: Unattended, bucket: LocalBucket, tmp_path: Path
) -> None:
    site.listener.told.clear()
    broken = LocalBucket(tmp_path)
    broken.fill(2)
    (broken.photographs / "photo01.jpg").write_bytes(b"")
    with site.worker():
        assert state_at_the_end(site, NIGHTLY)["message"] == "made 2, skipped 0, failed 0"
        state = state_at_the_end(site, NIGHTLY, job=small(broken))
        assert (state["name"], state["message"]) == ("Completed", "made 1, skipped 0, failed 1")
        body = wait_for(site, "stylebatch: rows failed in ")
        (report,) = broken.output.glob("runs/*/report.html")
        assert "finished: made 1, skipped 0, failed 1 (1 empty)." in body
        assert f"Report: {report}" in body
        assert f"stylebatch retry {report.parent}" in body
        lost = small(bucket, manifest_uri=str(tmp_path / "nowhere.csv"))
        assert state_at_the_end(site, NIGHTLY, job=lost)["name"] == "Failed"
        body = wait_for(site, "stylebatch: nowhere")
        assert "(stylize-manifest) is Failed: " in body
        assert state_at_the_end(site, CHECK)["message"] == "no nightly run was due yet"
    assert len(site.listener.told) == 2, site.listener.told


def test_a_night_without_a_completed_run_is_told_once_and_with_its_state(
    site: Unattended, bucket: LocalBucket
) -> None:
    site.listener.told.clear()
    job = small(bucket, manifest_uri=str(bucket.folder / "nowhere.csv"))
    (site.home / "bad.yaml").write_text(json.dumps(job))
    night = ("--nightly", "bad.yaml", "--cron", "* * * * *", "--expect-by", "00:00")
    site.deploy(*night, "--notify", "custom-webhook/ops")

    def planned() -> list[str]:
        found = registrations.runs(site.url, NIGHTLY)
        return [
            run["id"] for run in found if run["auto_scheduled"] and run["state_name"] == "Failed"
        ]

    with site.worker():
        wait_until(planned, PATIENCE_S)
        state = state_at_the_end(site, CHECK)
        assert state["name"] == "Failed"
        body = wait_for(site, "stylebatch: no nightly run by now")
    assert "no nightly run has completed since " in body
    assert "when one was planned: " in body
    assert " is Failed" in body
