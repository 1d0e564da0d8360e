"""What networks compute in while generators are trained.

Refiners and translators look at early layers only, and train in single precision.
"""

from __future__ import annotations

import torch


def fastest_precision(device: torch.device) -> torch.dtype:
    """The fastest float type that is precise enough to learn from.

    Returns:
        bfloat16 where the device has units for it: GPUs since Ampere, CPUs with AMX, where a step
        of a generator takes 0.4 of its time. Single precision elsewhere: CPUs without AMX take
        longer over bfloat16, up to 40 times.
    """
    if device.type == "cuda":
        has_units = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_units = torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - there is no public name yet
    return torch.bfloat16 if has_units else torch.float32
