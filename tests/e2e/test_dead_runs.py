"""A run that is killed together with its runner is marked as crashed: its heartbeats stop."""

import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
import registrations
from inboxes import LocalInbox
from prefect_servers import run_prefect
from stacks import wait_until
from unattended import PATIENCE_S

from deployments.stack_files import Credentials
from deployments.stack_servers import runner

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

UPLOADS = "stylize-uploads/on-upload"


def start_runner(home: Path, url: str, inbox: LocalInbox) -> subprocess.Popen[bytes]:
    """The runner of the local stack, as ``up`` starts it."""
    spec = runner(home, Credentials("", "", "", url, ""), inbox.job())
    with (home / "runner.log").open("wb") as log:
        return subprocess.Popen(
            list(spec.command), stdout=log, stderr=log, cwd=home, env=dict(spec.environment)
        )


def signs_of_life(url: str) -> set[str]:
    """Ids of the flow runs that have given one."""
    asked = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
    found = httpx.post(f"{url}/events/filter", json=asked, timeout=30).raise_for_status().json()
    ids = (event["resource"]["prefect.resource.id"] for event in found["events"])
    return {str(id_).rpartition(".")[2] for id_ in ids}


def working(url: str) -> list[str]:
    """Ids of the sweeps that are at work and gave a sign of life."""
    alive = signs_of_life(url)
    found = registrations.runs(url, UPLOADS)
    return [run["id"] for run in found if run["state_name"] == "Running" and run["id"] in alive]


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it as a power cut would, with everything that it started."""
    children = psutil.Process(process.pid).children(recursive=True)
    for one in (process, *children):
        one.kill()
    process.wait(60)
    psutil.wait_procs(children, 60)


def test_a_run_that_is_killed_with_its_runner_is_marked_as_crashed(tmp_path: Path) -> None:
    inbox = LocalInbox(tmp_path)
    inbox.put_style("wave", "optimize: {num_evaluations: 5000}\n")
    inbox.put_photographs("wave", 1)
    for name in ("prefect", "home"):
        (tmp_path / name).mkdir()
    with run_prefect(tmp_path / "prefect") as url:
        process = start_runner(tmp_path / "home", url, inbox)
        try:
            wait_until(lambda: UPLOADS in registrations.deployments(url), PATIENCE_S)
            (run_id,) = wait_until(lambda: working(url), PATIENCE_S)
        finally:
            kill(process)
        assert registrations.state(url, run_id)["name"] == "Running"
        wait_until(lambda: registrations.has_ended(url, run_id), PATIENCE_S)
        state = registrations.state(url, run_id)
    assert state["name"] == "Crashed"
    assert "no sign of life for 90 s" in state["message"]
    assert "start the same run again to go on" in state["message"]
