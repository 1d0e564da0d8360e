"""How running out of memory looks."""

from __future__ import annotations

from typing import Final

import torch

# Where torch has no class of its own: on the CPU, and in the libraries under CUDA.
_WORDS: Final = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_memory_fault(fault: Exception) -> bool:
    """Whether memory ran out."""
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(fault, RuntimeError) and any(word in str(fault) for word in _WORDS)
