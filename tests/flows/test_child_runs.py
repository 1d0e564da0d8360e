"""A run of more task runs than one flow run should have: child runs, and what becomes of theirs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from command_line import clean_environment
from local_jobs import LocalBucket
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State

from flows.stylize_manifest import stylize_manifest
from flows.stylize_shards import stylize_shards
from tasks import child_runs, working

pytestmark = pytest.mark.flow

PHOTOGRAPHS = 7
SERVE = """
from flows.stylize_shards import stylize_shards
from prefect import serve
from prefect.types.entrypoint import EntrypointType
serve(stylize_shards.to_deployment("child", entrypoint_type=EntrypointType.MODULE_PATH),
      print_starting_message=False, query_seconds=1)
"""


@pytest.fixture
def many(bucket: LocalBucket, harness: str, monkeypatch: pytest.MonkeyPatch) -> LocalBucket:
    """A bucket whose seven shards are too many for one flow run."""
    bucket.fill(PHOTOGRAPHS)
    monkeypatch.setattr(child_runs, "MAX_TASK_RUNS", 3)
    monkeypatch.setattr(child_runs, "_LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(child_runs, "_BEGIN_S", 2.0)
    return bucket


def run(bucket: LocalBucket) -> State[dict[str, Any]]:
    job = bucket.job(method="identity", limits={"rows_per_shard": 1})
    return stylize_manifest(job, return_state=True)


def children() -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(limit=200)
    return [run for run in runs if run.name.startswith("shards ")]


@pytest.fixture
def deployment(harness: str) -> Iterator[None]:
    """The deployment of child runs, which nobody serves."""
    deployed = stylize_shards.to_deployment("child")
    deployed.apply()
    yield
    with get_client(sync_client=True) as client:
        client.delete_deployment(client.read_deployment_by_name(child_runs.DEPLOYMENT).id)


def assert_all_made_once(bucket: LocalBucket, state: State[dict[str, Any]]) -> None:
    assert state.message == f"made {PHOTOGRAPHS}, skipped 0, failed 0"
    assert [row["attempt"] for row in bucket.results()] == [1] * PHOTOGRAPHS
    claims = {path.name for path in bucket.output.glob("runs/*/claims/*")}
    assert claims == {f"{number:05d}.1.json" for number in range(PHOTOGRAPHS)}


def test_without_a_deployment_for_child_runs_one_run_does_it_all(many: LocalBucket) -> None:
    before = len(children())
    assert_all_made_once(many, run(many))
    assert len(children()) == before


@pytest.mark.usefixtures("deployment")
def test_what_no_child_begins_the_parent_takes_back(many: LocalBucket) -> None:
    known = {child.id for child in children()}
    assert_all_made_once(many, run(many))
    states = [child.state_name for child in children() if child.id not in known]
    assert states == ["Cancelled", "Cancelled"]


@contextmanager
def serving(bucket: LocalBucket, harness: str) -> Iterator[None]:
    """A process that runs child runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        cwd=bucket.folder,
        env=clean_environment(bucket.folder, {"PREFECT_API_URL": harness, "OMP_NUM_THREADS": "1"}),
    )
    try:
        wait_until(is_deployed)
        yield
    finally:
        process.terminate()
        process.wait(30)


def is_deployed() -> bool:
    with get_client(sync_client=True) as client:
        return any(one.name == "child" for one in client.read_deployments())


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_children_work_beside_the_parent_and_every_shard_is_done_once(
    many: LocalBucket, harness: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {child.id for child in children()}

    def have_begun() -> bool:
        begun = ("Running", "Completed")
        return any(c.state_name in begun for c in children() if c.id not in known)

    original, waits = working.fan_out, [have_begun]

    def work_when_children_do(*arguments: Any) -> Iterator[list[int]]:
        while arguments[1] and waits:  # before the first part of the parent
            wait_until(waits.pop())
        yield from original(*arguments)

    monkeypatch.setattr(working, "fan_out", work_when_children_do)
    with serving(many, harness):
        state = run(many)
    assert_all_made_once(many, state)
    mine = [child for child in children() if child.id not in known]
    assert "Completed" in {child.state_name for child in mine}
    (parent,) = {child.parent_task_run_id is not None for child in mine}
    assert parent
    machines = {
        json.loads(p.read_text())["process"]["pid"] for p in many.output.glob("runs/*/claims/*")
    }
    assert len(machines) > 1
