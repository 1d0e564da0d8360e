"""Events that anybody emits start a sweep: a burst of them starts one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import registrations
from inboxes import LocalInbox
from prefect_servers import run_prefect
from stacks import wait_until
from unattended import PATIENCE_S, Listener, Unattended

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

UPLOADS = "stylize-uploads/on-upload"


def emit(url: str) -> None:
    """What anything that speaks to the server's API sends."""
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "stylebatch.upload",
        "resource": {"prefect.resource.id": "inbox.somebody"},
    }
    httpx.post(f"{url}/events", json=[event], timeout=30).raise_for_status()


def started_by_events(url: str) -> list[dict[str, Any]]:
    found = registrations.runs(url, UPLOADS)
    return [run for run in found if (run["created_by"] or {}).get("type") == "AUTOMATION"]


def test_a_burst_of_events_starts_one_run_that_stylizes_what_was_uploaded(tmp_path: Path) -> None:
    inbox = LocalInbox(tmp_path)
    inbox.put_style("wave", "method: identity\n")
    inbox.put_photographs("wave", 1)
    (tmp_path / "uploads.yaml").write_text("inbox_uri: inbox\noutput_uri: out\ndevice: cpu\n")
    (tmp_path / "prefect").mkdir()
    with run_prefect(tmp_path / "prefect") as url:
        site = Unattended(url, tmp_path, Listener(""))
        site.deploy("--uploads", "uploads.yaml")
        id_ = registrations.deployment(url, UPLOADS)["id"]
        # Without the schedule, so that nothing but the event can start a run.
        for schedule in registrations.deployment(url, UPLOADS)["schedules"]:
            path = f"{url}/deployments/{id_}/schedules/{schedule['id']}"
            httpx.delete(path, timeout=30).raise_for_status()
        for _ in range(20):
            emit(url)
        (run,) = wait_until(lambda: started_by_events(url), PATIENCE_S)
        with site.worker():
            wait_until(lambda: registrations.has_ended(url, run["id"]), PATIENCE_S)
        assert registrations.state(url, run["id"])["name"] == "Completed"
        assert len(started_by_events(url)) == 1
    assert len(inbox.pictures("wave")) == 1
