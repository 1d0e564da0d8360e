"""The same job on threads, Dask and Ray: the same pictures, the same ledger; and it can be left."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import STYLEBATCH, Answer, clean_environment, run_stylebatch
from local_jobs import LocalBucket
from servers import free_ports

from stylecore.batch.claims import holder_of
from stylecore.batch.ledger import open_ledger
from stylecore.batch.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

PHOTOGRAPHS = 6
WAIT_S = 240
CLUSTER = {
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on the loopback only
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    """Photographs of which one is broken."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(PHOTOGRAPHS)
    (bucket.photographs / "photo03.jpg").write_bytes(b"no picture")
    return bucket


def request(bucket: LocalBucket, output: str, *options: str) -> list[str]:
    """A job of three shards."""
    return [
        *("run", "--manifest", f"{bucket.photographs}/", "--output", str(bucket.folder / output)),
        *("--style", str(bucket.folder / "wave.jpg"), "--max-side-px", "64"),
        *("--set", "optimize.num_evaluations=5", "--set", "limits.rows_per_shard=2"),
        *options,
    ]


def run(bucket: LocalBucket, prefect_url: str, output: str, *options: str) -> Answer:
    environment = {"PREFECT_API_URL": prefect_url, **CLUSTER}
    return run_stylebatch(
        *request(bucket, output, *options),
        home=bucket.folder,
        environment=environment,
        timeout_s=WAIT_S,
    )


def outcome(bucket: LocalBucket, output: str) -> dict[str, Any]:
    """All pictures, and what the ledger says of each row, but for times."""
    there = LocalBucket(bucket.folder)
    there = type("There", (LocalBucket,), {"output": bucket.folder / output})(bucket.folder)
    varies = {"seconds", "finished_at", "output_uri", "attempt"}
    rows = [{k: v for k, v in row.items() if k not in varies} for row in there.results()]
    return {
        "pictures": {path.name: path.read_bytes() for path in there.pictures()},
        "rows": sorted(rows, key=lambda row: str(row["row_id"])),
        "plan": sorted(path.name for path in there.output.glob("runs/*/*/*.parquet")),
    }


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_makes_the_same_pictures_and_the_same_ledger_as_threads(
    bucket: LocalBucket, prefect_url: str, runner: str
) -> None:
    first = run(bucket, prefect_url, "threads")
    second = run(bucket, prefect_url, runner, "--runner", runner)
    line = f"made {PHOTOGRAPHS - 1}, skipped 0, failed 1"
    assert (first.code, first.lines[0]) == (3, line), first
    assert (second.code, second.lines[0]) == (3, line), second
    assert Path(first.run_uri).name == Path(second.run_uri).name
    assert outcome(bucket, "threads") == outcome(bucket, runner)
    again = run(bucket, prefect_url, runner, "--runner", runner)
    assert (again.code, again.lines[0]) == (3, f"made 0, skipped {PHOTOGRAPHS - 1}, failed 1")


@contextmanager
def dask_cluster(folder: Path) -> Iterator[str]:
    """A scheduler and two workers, as an operator would start them."""
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    places = ["--host", "127.0.0.1", "--no-dashboard"]
    worker = ["worker", address, *places, "--nthreads", "1", "--local-directory", str(folder)]
    with (
        process(folder, "-m", "dask", "scheduler", "--port", str(port), *places),
        process(folder, "-m", "dask", *worker, "--name", "one"),
        process(folder, "-m", "dask", *worker, "--name", "two"),
    ):
        wait_until(lambda: answers(port))
        yield address


@contextmanager
def ray_cluster(folder: Path) -> Iterator[str]:
    """A head node of two cores."""
    port, client_port, agent_port = free_ports(3)
    options = {
        "--node-ip-address": "127.0.0.1",
        "--num-cpus": 2,
        "--include-dashboard": "false",
        "--object-store-memory": 100_000_000,
        "--port": port,
        "--ray-client-server-port": client_port,
        "--dashboard-agent-listen-port": agent_port,
        "--min-worker-port": 0,
        "--max-worker-port": 0,
    }
    words = [str(word) for option in options.items() for word in option]
    log = folder / "cluster.log"
    with process(folder, "-m", "ray.scripts.scripts", "start", "--head", "--block", *words):
        wait_until(lambda: "runtime started" in log.read_text())
        yield f"127.0.0.1:{port}"


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Python's, which ends with all that it started."""
    with (folder / "cluster.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=clean_environment(folder, CLUSTER),
        )
    try:
        yield child
    finally:
        family = [child, *psutil.Process(child.pid).children(recursive=True)]
        child.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family[1:], timeout=20)
        for one in alive:
            one.kill()
        child.wait(20)


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_that_is_there_is_used_and_no_shard_is_done_twice(
    bucket: LocalBucket, prefect_url: str, runner: str
) -> None:
    with CLUSTERS[runner](bucket.folder) as address:
        options = ("--runner", runner, "--runner-address", address)
        answer = run(bucket, prefect_url, "there", *options, "--set", "limits.rows_per_shard=1")
    assert answer.code == 3, answer
    assert answer.lines[0] == f"made {PHOTOGRAPHS - 1}, skipped 0, failed 1"
    claims = sorted(path.name for path in (bucket.folder / "there").glob("runs/*/claims/*"))
    assert claims == [f"{number:05d}.1.json" for number in range(PHOTOGRAPHS)]


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_an_interrupted_run_on_a_cluster_stops_computing_and_goes_on_later(
    bucket: LocalBucket, prefect_url: str, runner: str
) -> None:
    endless = ("--set", "optimize.num_evaluations=5000", "--max-side-px", "96")
    with CLUSTERS[runner](bucket.folder) as address:
        options = ("--runner", runner, "--runner-address", address, *endless)
        client = subprocess.Popen(
            [STYLEBATCH, *request(bucket, "left", *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=bucket.folder,
            env=clean_environment(bucket.folder, {"PREFECT_API_URL": prefect_url, **CLUSTER}),
        )
        output = bucket.folder / "left"
        wait_until(lambda: list(output.glob("runs/*/claims/*.json")), client)
        time.sleep(5)  # so that it computes
        client.send_signal(signal.SIGINT)
        _, stderr = client.communicate(timeout=60)
        assert client.returncode == 1, stderr
        assert "start the same command again" in stderr
        (run,) = output.glob("runs/*")
        ledger = open_ledger(Store(), str(run))
        # Ray ends the processes of a client that is gone, which then release nothing.
        wait_until(lambda: not any(holder_of(ledger, number) for number in range(3)))
        assert not list(output.glob("runs/*/results/*"))
        assert not list(output.glob("images/**/*.jpg"))


def answers(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Any, client: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert client is None or client.poll() is None, client.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_that_does_not_answer_is_a_wrong_request(
    bucket: LocalBucket, prefect_url: str, runner: str
) -> None:
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    answer = run(bucket, prefect_url, "nowhere", "--runner", runner, "--runner-address", address)
    assert (answer.code, answer.stdout) == (2, "")
    assert f"runner_address {address}: the {runner} cluster does not answer" in answer.stderr
    assert not (bucket.folder / "nowhere").exists()
