"""Pictures as 8-bit arrays to batches of floats, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from stylecore.images.codec import RgbImage
from stylecore.types import ImageBatch

MINIMUM_SIDE_PX = 16  # VGG halves four times up to its last style layer


def to_batch(images: Sequence[RgbImage]) -> ImageBatch:
    """Stack pictures of one size.

    Args:
        images: at least one picture, each of shape (h, w, 3).

    Returns:
        Shape (b, 3, h, w), in [0, 1], float32 on the CPU.
    """
    stacked = torch.from_numpy(np.stack(images))
    return stacked.permute(0, 3, 1, 2).contiguous().float().div_(255)


def from_batch(batch: ImageBatch) -> list[RgbImage]:
    """Pictures of a batch on any device: clamped to [0, 1], rounded to the nearest of 256."""
    levels = batch.detach().clamp(0, 1).mul(255).round().to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def pad_to_minimum(batch: ImageBatch, minimum_px: int = MINIMUM_SIDE_PX) -> ImageBatch:
    """Repeat the right and lower edge until no side is shorter than ``minimum_px``."""
    height, width = batch.shape[-2:]
    right, below = max(0, minimum_px - width), max(0, minimum_px - height)
    if right == 0 and below == 0:
        return batch
    return functional.pad(batch, (0, right, 0, below), mode="replicate")


def crop(batch: ImageBatch, height: int, width: int) -> ImageBatch:
    """Undo ``pad_to_minimum``: the upper left ``height`` x ``width`` pixels."""
    return batch[..., :height, :width]
