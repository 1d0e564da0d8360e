"""What a job will cost, from its settings alone: nothing is measured, so that planning is instant.

The arithmetic of one evaluation is known exactly (forward, backward to the input, Gram matrices);
the speed of a machine is not, so the nominal speeds below are stated wherever a figure is shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stylecore.config import StylizeJob

# Measured for VGG-16: 79.9 GFLOP an evaluation at 256 x 256; VGG-19 has 1.28 times its arithmetic.
_FLOP_PER_PIXEL: Final = {"vgg16": 79.9e9 / 256**2, "vgg19": 102e9 / 256**2}
_CPU_FLOP_PER_CORE: Final = 60e9
_GPU_FLOP: Final = 20e12
_RESIZE_SECONDS_PER_PIXEL: Final = 1e-7
_TARGET_SHARD_SECONDS: Final = 600.0
_MIN_ROWS: Final = 10
_MAX_ROWS: Final = 2000
_GOAL_SHARDS: Final = 500
# Bytes held per pixel while the gradient is taken: every activation that backward needs.
_BYTES_PER_PIXEL: Final = {"vgg16": 2400, "vgg19": 2700}
_IDLE_BYTES: Final = 700e6
_READ_AHEAD_BYTES: Final = 400e6


@dataclass(frozen=True, slots=True)
class Estimate:
    """Wall time of a job on this machine, and the memory of its process."""

    seconds: float
    memory_bytes: float
    basis: str


def rows_per_shard(job: StylizeJob, planned: int) -> int:
    """About ten minutes of work, between 10 and 2,000 rows, and some hundreds of shards at most.

    Does not look at the machine: planning a run again elsewhere must cut the same shards.
    """
    if job.limits.rows_per_shard is not None:
        return job.limits.rows_per_shard
    speed = _GPU_FLOP if job.device.startswith("cuda") else 4 * _CPU_FLOP_PER_CORE
    by_time = int(_TARGET_SHARD_SECONDS / _picture_seconds(job, speed))
    by_count = -(-planned // _GOAL_SHARDS)
    return min(_MAX_ROWS, max(_MIN_ROWS, by_time, by_count))


def estimate_job(job: StylizeJob, planned: int) -> Estimate:
    """Time and memory of a whole job here, if every picture has the largest size asked for."""
    uses_gpu = _has_gpu() if job.device == "auto" else job.device != "cpu"
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    speed = _GPU_FLOP if uses_gpu else (cores or 1) * _CPU_FLOP_PER_CORE
    where = "a GPU at 20 TFLOP/s" if uses_gpu else f"{cores} cores at 60 GFLOP/s each"
    seconds = planned * _picture_seconds(job, speed)
    return Estimate(seconds, _memory_bytes(job), f"{where}, pictures of 4:3")


def _picture_seconds(job: StylizeJob, flop_per_second: float) -> float:
    pixels = 0.75 * job.max_side_px**2
    overhead = pixels * _RESIZE_SECONDS_PER_PIXEL + 0.01
    if job.method == "identity":
        return overhead
    evaluations = (job.optimize.num_evaluations or 0) + 2  # targets and figures cost about two
    return overhead + evaluations * pixels * _FLOP_PER_PIXEL[job.optimize.encoder] / flop_per_second


def _memory_bytes(job: StylizeJob) -> float:
    if job.method == "identity":
        return _READ_AHEAD_BYTES
    pixels = float(job.max_side_px**2)
    return _IDLE_BYTES + _READ_AHEAD_BYTES + pixels * _BYTES_PER_PIXEL[job.optimize.encoder]


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists()
