"""How running out of memory looks."""

from __future__ import annotations

import torch


def is_memory_fault(fault: Exception) -> bool:
    """Whether memory ran out. On the CPU torch has no class of its own for that."""
    is_torch = isinstance(fault, torch.OutOfMemoryError)
    return is_torch or isinstance(fault, MemoryError) or "can't allocate memory" in str(fault)
