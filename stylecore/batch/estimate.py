"""What a job will cost, from its settings alone: nothing is measured, so that planning is instant.

The arithmetic of one evaluation is known exactly (forward, backward to the input, Gram matrices);
the speed of a machine is not, so the nominal speeds below are stated wherever a figure is shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stylecore.config import StylizeJob
from stylecore.settings import EncoderName

# Arithmetic of an evaluation, counted at 256 x 256: forward, and backward to the input.
_FLOP_PER_PIXEL: Final[Mapping[EncoderName, float]] = {
    "vgg16": 79.9e9 / 256**2,
    "vgg19": 102e9 / 256**2,
    "resnet50": 21.4e9 / 256**2,
    "inception_v3": 15.4e9 / 256**2,
}
_GENERATOR_BATCH: Final = 8  # on a GPU, where the job names none
_CPU_FLOP_PER_CORE: Final = 60e9
_GPU_FLOP: Final = 20e12
_RESIZE_SECONDS_PER_PIXEL: Final = 1e-7
_TARGET_SHARD_SECONDS: Final = 600.0
_MIN_ROWS: Final = 10
_MAX_ROWS: Final = 2000
_GOAL_SHARDS: Final = 500

# Memory: peaks of resident memory, measured with PyTorch 2.15 on a CPU at 256 to 2048 px.
_STYLIZER_BYTES: Final = 1.0e9  # of the process, before any picture: torch, network, LPIPS
_PIPELINE_BYTES: Final = 0.35e9  # what the flow, readers and writers add to that
_IDENTITY_BYTES: Final = 0.4e9
# Per pixel, while the gradient is taken: the activations that backward needs.
_ACTIVATION_BYTES: Final[Mapping[EncoderName, float]] = {
    "vgg16": 2140,
    "vgg19": 2280,
    "resnet50": 1600,
    "inception_v3": 1300,
}
# Per pixel of the whole picture: trial, best, gradient, target, what the update rule holds.
_IMAGE_BYTES: Final = 720
_BYTES_PER_EVALUATION: Final = 14  # of the optimizer's memory, until it has all its pairs
_MOST_PAIRS: Final = 20
_MASK_BYTES: Final = 500  # per pixel and mask, with the activations: features times the mask
_HALO_PX: Final = 64  # around a tile, with the layers that are usual
_SCORE_BYTES: Final = 2520  # per pixel, while a picture is measured behind the optimizer's back


@dataclass(frozen=True, slots=True)
class Estimate:
    """Wall time of a job on this machine, and the memory of its process."""

    seconds: float
    memory_bytes: float
    basis: str


@dataclass(frozen=True, slots=True)
class PassWork:
    """What one pass through a generator takes, for each pixel."""

    flop: float = 0.0
    memory_bytes: float = 0.0


_NO_PASS: Final = PassWork()


@dataclass(frozen=True, slots=True)
class PixelWork:
    """What is in the optimizer at once.

    Attributes:
        encoder: the network.
        height_px: of a picture.
        width_px: of a picture.
        num_evaluations: of the objective.
        num_pictures: in a batch.
        tile_px: longest side of a tile, its halo included; None: pictures go through whole.
        num_masks: of each picture.
    """

    encoder: EncoderName
    height_px: int
    width_px: int
    num_evaluations: int
    num_pictures: int = 1
    tile_px: int | None = None
    num_masks: int = 0


def rows_per_shard(job: StylizeJob, planned: int, generator: PassWork = _NO_PASS) -> int:
    """About ten minutes of work, between 10 and 2,000 rows, and some hundreds of shards at most.

    Does not look at the machine: planning a run again elsewhere must cut the same shards.

    Args:
        job: to cut up.
        planned: rows.
        generator: what the job's generator takes, where it has one.
    """
    if job.limits.rows_per_shard is not None:
        return job.limits.rows_per_shard
    speed = _GPU_FLOP if job.device.startswith("cuda") else 4 * _CPU_FLOP_PER_CORE
    by_time = int(_TARGET_SHARD_SECONDS / _picture_seconds(job, generator.flop, speed))
    by_count = -(-planned // _GOAL_SHARDS)
    return min(_MAX_ROWS, max(_MIN_ROWS, by_time, by_count))


def estimate_job(job: StylizeJob, planned: int, generator: PassWork = _NO_PASS) -> Estimate:
    """Time and memory of a whole job here, if every picture has the largest size asked for.

    Args:
        job: what is asked for.
        planned: rows.
        generator: what the job's generator takes, where it has one.
    """
    uses_gpu = _has_gpu() if job.device == "auto" else job.device != "cpu"
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    speed = _GPU_FLOP if uses_gpu else (cores or 1) * _CPU_FLOP_PER_CORE
    where = "a GPU at 20 TFLOP/s" if uses_gpu else f"{cores} cores at 60 GFLOP/s each"
    seconds = planned * _picture_seconds(job, generator.flop, speed)
    memory_bytes = _memory_bytes(job, generator, uses_gpu)
    return Estimate(seconds, memory_bytes, f"{where}, pictures of 4:3")


def evaluations_each(job: StylizeJob) -> int:
    """Evaluations that one picture takes, at all scales and in all styles of a cascade."""
    if job.then is not None:
        return (job.then.optimize.num_evaluations or 0) * job.then.optimize.num_scales
    if job.method != "optimize":
        return 0
    return (job.optimize.num_evaluations or 0) * job.optimize.num_scales * _cascade_length(job)


def stylizer_memory_bytes(work: PixelWork) -> float:
    """Peak memory of a process that optimizes pictures, as ``stylebatch image`` does on a CPU.

    Within 25 % of what was measured. On a GPU, what goes by the pixel is the device's memory.
    """
    longest = work.tile_px or max(work.height_px, work.width_px)
    seen = min(longest, work.height_px) * min(longest, work.width_px)
    pixels = work.height_px * work.width_px
    optimizer = _IMAGE_BYTES + _BYTES_PER_EVALUATION * min(work.num_evaluations, _MOST_PAIRS)
    activations = _ACTIVATION_BYTES[work.encoder] + _MASK_BYTES * work.num_masks
    per_picture = pixels * optimizer + seen * activations
    return _STYLIZER_BYTES + work.num_pictures * per_picture


def _picture_seconds(job: StylizeJob, generator_flop: float, flop_per_second: float) -> float:
    pixels = 0.75 * job.max_side_px**2
    overhead = pixels * _RESIZE_SECONDS_PER_PIXEL + 0.01
    if job.method == "identity":
        return overhead
    overhead += pixels * generator_flop / flop_per_second
    if job.method == "generator" and job.then is None:
        return overhead
    settings = job.optimize if job.then is None else job.then.optimize
    evaluations = (settings.num_evaluations or 0) + 2  # targets and figures cost about two
    scales = sum(0.25**halvings for halvings in range(settings.num_scales))
    passes = evaluations * scales * _cascade_length(job)
    return overhead + passes * pixels * _FLOP_PER_PIXEL[settings.encoder] / flop_per_second


def _cascade_length(job: StylizeJob) -> int:
    return max(1, len(job.styles)) if job.cascade else 1


def _memory_bytes(job: StylizeJob, generator: PassWork, uses_gpu: bool) -> float:
    """Of a run: a picture is measured while the next one is made."""
    if job.method == "identity":
        return _IDENTITY_BYTES
    side, settings = job.max_side_px, job.optimize
    if job.method == "generator":
        num_pictures = job.batch_size or (_GENERATOR_BATCH if uses_gpu else 1)
        generating = _STYLIZER_BYTES + side**2 * generator.memory_bytes * num_pictures
        if job.then is None:
            return generating + _PIPELINE_BYTES
        settings = job.then.optimize
    work = PixelWork(
        settings.encoder,
        side,
        side,
        settings.num_evaluations or 0,
        job.batch_size or 1,
        tile_px=None if settings.tile_px is None else settings.tile_px + 2 * _HALO_PX,
        num_masks=len(job.styles) if job.regions else 0,
    )
    return stylizer_memory_bytes(work) + _PIPELINE_BYTES + side**2 * _SCORE_BYTES


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists()
