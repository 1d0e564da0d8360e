"""What fits in memory: how many pictures at once, or tiles of how large a picture."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from stylecore.batch.estimate import PixelWork, stylizer_memory_bytes
from stylecore.errors import OutOfMemoryError
from stylecore.images.tiling import ALIGNMENT_PX

SMALLEST_CORE_PX: Final = 128  # with a halo of 64 px, four times as many pixels go through


def free_memory_bytes(device: torch.device) -> float:
    """What this process may use in all on a device; infinite where the system does not say."""
    if device.type == "cuda":
        # What torch holds without using it is free to us, though not to others.
        return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return float("inf")
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return float(available + resident)


def choose_batch_size(work: PixelWork, most: int, memory_bytes: float) -> int:
    """How many pictures to work on at once: ``most``, halved until they fit, at least 1."""
    number = most
    while number > 1 and stylizer_memory_bytes(replace(work, num_pictures=number)) > memory_bytes:
        number //= 2
    return number


def choose_core_px(work: PixelWork, halo_px: int, memory_bytes: float) -> int | None:
    """The largest tiles that fit: the fewer there are, the less is spent on halos.

    Args:
        work: pictures that would go through whole.
        halo_px: what tiles see around their cores, from ``find_geometry``.
        memory_bytes: for the whole process.

    Returns:
        Longest side of a core, for ``TiledObjective``; None if pictures fit as a whole.

    Raises:
        OutOfMemoryError: not even small tiles fit.
    """
    if stylizer_memory_bytes(work) <= memory_bytes:
        return None
    longest_px = max(work.height_px, work.width_px)
    largest_px = max(longest_px - longest_px % ALIGNMENT_PX, SMALLEST_CORE_PX)
    for core_px in range(largest_px, SMALLEST_CORE_PX - 1, -ALIGNMENT_PX):
        by_tiles = replace(work, tile_px=core_px + 2 * halo_px)
        least_bytes = stylizer_memory_bytes(by_tiles)
        if least_bytes <= memory_bytes:
            return core_px
    raise OutOfMemoryError(
        "",
        f"{work.width_px} x {work.height_px} px need {least_bytes / 1e9:.1f} GB even by tiles, "
        f"and there are {memory_bytes / 1e9:.1f} GB: lower max_side_px",
    )
