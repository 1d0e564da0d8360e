"""Trainings that take seconds: few steps on tiny pictures."""

from typing import Any

import torch
from local_jobs import LocalBucket
from torch import nn

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.perception.encoder import Encoder
from stylecore.training.refiner import Perception
from stylecore.training.request import TrainRefinerJob
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard

TINY = {
    "num_steps": 4,
    "batch_size": 2,
    "crop_px": 32,
    "perception_every": 2,
    "num_validations": 2,
    "seed": 3,
}


def training_job(bucket: LocalBucket, **fields: Any) -> TrainRefinerJob:
    """A refiner for the bucket's painting from its photographs, on the CPU."""
    values = {
        "styles": [str(bucket.folder / "wave.jpg")],
        "content_uri": str(bucket.photographs),
        "output_uri": str(bucket.folder / "refiner"),
        "max_side_px": 32,
        "preset": "draft",
        "device": "cpu",
        "training": TINY,
        **fields,
    }
    return TrainRefinerJob.model_validate(values)


def make_run(bucket: LocalBucket, **fields: Any) -> RunLedger:
    """A finished run of the bucket's photographs, which are only copied."""
    run = prepare_run(Store(), bucket.job(**{"method": "identity", **fields}))
    for number in run.pending_shards():
        work_through_shard(run, ShardRequest(run.run_uri, number, run.run_id))
    return run


class Distance(nn.Module):
    """Stands in for LPIPS."""

    def forward(self, one: torch.Tensor, other: torch.Tensor, normalize: bool) -> torch.Tensor:
        return (one - other).abs().mean()


def tiny_perception(encoder: Encoder) -> Perception:
    """Networks without what they learned."""
    return Perception(encoder, Distance())
