"""Files of tensors from elsewhere: safetensors or nothing, since a pickle runs code when read."""

from __future__ import annotations

from typing import Final

import torch
from safetensors.torch import load
from torch import Tensor

from stylecore.errors import JobError

_PICKLE_STARTS: Final = (b"PK\x03\x04", b"\x80")  # torch.save since 1.6 (a zip file), and before
_MAX_REASON_CHARS: Final = 200


def read_safetensors(data: bytes, what: str, remedy: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Args:
        data: the whole file.
        what: it is; starts the message of the error.
        remedy: what to do about another file; ends it.

    Raises:
        JobError: it is something else, or damaged.
    """
    try:
        return load(data)
    except Exception as error:  # of types that torch lacks, the library raises KeyError and others
        found = "a PyTorch pickle" if data.startswith(_PICKLE_STARTS) else "something else"
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARS]
        raise JobError(
            f"{what} must be a safetensors file, and this is {found} or damaged ({reason}): "
            f"{remedy}"
        ) from error


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are numbers; those of a type or shape that cannot be asked are not."""
    if tensor.is_complex():
        return False
    try:
        return bool(torch.isfinite(tensor.float()).all())
    except RuntimeError:
        return False
