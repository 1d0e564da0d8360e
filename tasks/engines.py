"""Where shards are worked on: threads of this process, or the processes of a Dask or Ray cluster.

Dask and Ray are extras and imported only where they are asked for. On a cluster with GPUs every
task run gets one of them; a cluster that is made here has a process for each device, or for each
core where there is no GPU.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from stylecore.config import RunnerName, StylizeJob
from stylecore.errors import JobError
from tasks.devices import num_devices, num_gpus
from tasks.runner_checks import check_runner

_LOOPBACK: Final = "127.0.0.1"
_RAY_STORE_BYTES: Final = 100 * 1024**2  # task runs pass words, not pictures
_GPU: Final = (
    "GPU"  # Ray's own word, and the resource that Dask workers with a GPU are started with
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to compute: the fields of a job that change nothing about its pictures."""

    device: str = "auto"
    runner: RunnerName = "threads"
    runner_address: str | None = None

    @classmethod
    def of(cls, job: StylizeJob) -> Place:
        """Where a job is to be done."""
        return cls(job.device, job.runner, job.runner_address)


@dataclass(frozen=True, slots=True)
class Engine:
    """A task runner at work.

    Attributes:
        runner: takes task runs.
        width: how many shards it can compute at once, now.
        is_elsewhere: whether task runs are in other processes, which our stop flags do not reach.
        submitting: to submit in, so that a task run gets its GPU.
    """

    runner: TaskRunner[Any]
    width: Callable[[], int]
    is_elsewhere: bool
    submitting: Callable[[], AbstractContextManager[Any]] = nullcontext


@contextmanager
def open_engine(place: Place) -> Iterator[Engine]:
    """Start a task runner, or connect to its cluster, for the time of the body.

    Raises:
        JobError: it is not installed, or its cluster does not answer.
    """
    check_runner(place.runner, place.runner_address)
    engine = {"threads": _threads, "dask": _dask, "ray": _ray}[place.runner](place)
    where = place.runner_address or "this machine"
    try:
        engine.runner.__enter__()
        if engine.is_elsewhere:
            engine.width()  # Dask connects when it is first asked
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:
        engine.runner.__exit__(None, None, None)
        reason = " ".join(str(error).split())[:300]
        raise JobError(f"runner {place.runner} on {where} does not start: {reason}") from error
    try:
        yield engine
    finally:
        engine.runner.__exit__(None, None, None)


def _threads(place: Place) -> Engine:
    return Engine(ThreadPoolTaskRunner(), lambda: num_devices(place.device), is_elsewhere=False)


def _local_width(place: Place) -> int:
    """Processes of a cluster on this machine: their numeric libraries take one core each."""
    return 1 if place.device == "cpu" else num_gpus() or os.cpu_count() or 1


def _dask(place: Place) -> Engine:
    import dask

    dask.config.set({"logging.distributed": "warning"})  # read when distributed is imported
    from prefect_dask import DaskTaskRunner

    local = {
        "n_workers": _local_width(place),
        "threads_per_worker": 1,
        "host": _LOOPBACK,
        "dashboard_address": None,
        "memory_limit": 0,  # a worker that is ended for its memory loses the shard's pictures
        "resources": {_GPU: 1} if num_gpus() else {},
    }
    runner = (
        DaskTaskRunner(address=place.runner_address)
        if place.runner_address
        else DaskTaskRunner(cluster_kwargs=local)
    )

    def workers() -> list[dict[str, Any]]:
        return list(runner.client.scheduler_info(n_workers=-1)["workers"].values())

    def with_gpu() -> list[dict[str, Any]]:
        return [worker for worker in workers() if worker["resources"].get(_GPU)]

    def submitting() -> AbstractContextManager[Any]:
        return dask.annotate(resources={_GPU: 1}) if with_gpu() else nullcontext()

    def width() -> int:
        return len(with_gpu()) or sum(worker["nthreads"] for worker in workers())

    return Engine(runner, width, is_elsewhere=True, submitting=submitting)


def _ray(place: Place) -> Engine:
    if place.runner_address is None:
        # Ray's one way to listen on the loopback only; it is read when ray is imported, in all of
        # the cluster's processes.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    from prefect_ray import RayTaskRunner
    from prefect_ray.context import remote_options

    local = {
        "num_cpus": _local_width(place),
        "include_dashboard": False,
        "object_store_memory": _RAY_STORE_BYTES,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
    }
    runner = (
        RayTaskRunner(address=place.runner_address)
        if place.runner_address
        else RayTaskRunner(address="local", init_kwargs=local)  # not one that happens to run here
    )

    def width() -> int:
        has = ray.cluster_resources()
        return int(has.get(_GPU) or has.get("CPU", 1))

    def submitting() -> AbstractContextManager[Any]:
        has_gpus = bool(ray.cluster_resources().get(_GPU))
        return remote_options(num_gpus=1) if has_gpus else nullcontext()

    return Engine(runner, width, is_elsewhere=True, submitting=submitting)
