"""Files of tensors from elsewhere: safetensors or nothing, since a pickle runs code when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import torch
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor

from stylecore.errors import JobError
from stylecore.settings import FrozenModel

MAX_BYTES: Final = 256 * 2**20
CARD_KEY: Final = "card"  # of the header, where it is the card of a network
_REMEDY: Final = "name the file that training wrote"

_PICKLE_STARTS: Final = (b"PK\x03\x04", b"\x80")  # torch.save since 1.6 (a zip file), and before
_MAX_REASON_CHARS: Final = 200
Card = TypeVar("Card", bound=FrozenModel)


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


def write_tensors(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """A safetensors file of tensors on any device, with strings in its header."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, dict(header))


def read_tensors(data: bytes, where: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file, every value finite.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: the file is too large, damaged or not safetensors, or holds NaN or infinity.
    """
    if len(data) > MAX_BYTES:
        raise JobError(
            f"{where}: {len(data)} bytes, more than {MAX_BYTES}: these are no weights "
            "of ours, name the folder or file that training wrote"
        )
    tensors = read_safetensors(data, f"{where}: weights", _REMEDY)
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            raise JobError(f"{where}: {name} has values that are not finite numbers: train again")
    return tensors, _read_header(data)


def _read_header(data: bytes) -> dict[str, str]:
    """The strings in the header, whose length stands in the first eight bytes.

    safetensors reads them from files only, and we have none; that the header is well-formed,
    ``load`` has seen.
    """
    num_bytes = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + num_bytes])
    found: dict[str, str] = header.get("__metadata__") or {}  # which may be null
    return found


def read_card(header: Mapping[str, str], kind: type[Card], where: str, what: str) -> Card:
    """The card in the header of a network's file.

    Args:
        header: from ``read_tensors``.
        kind: of card.
        where: the file came from; only for messages.
        what: the network is, as ``stylebatch train`` calls it.

    Raises:
        JobError: there is none, or it is of something else.
    """
    remedy = f"name the file that `stylebatch train {what}` wrote"
    if CARD_KEY not in header:
        raise JobError(
            f"{where}: safetensors without a card, so these are not weights of a {what}: {remedy}"
        )
    try:
        return kind.model_validate_json(header[CARD_KEY])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "card"
        raise JobError(
            f"{where}: this is not the card of a {what} ({field}: {first['msg']}): {remedy}"
        ) from error


def read_kind(header: Mapping[str, str]) -> object:
    """What the card calls itself; whatever is wrong with it, its own reader says better."""
    try:
        card = json.loads(header.get(CARD_KEY, "{}"))
    except ValueError:
        return None
    return card.get("kind") if isinstance(card, dict) else None


def check_shapes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], dtype: torch.dtype, where: str
) -> None:
    """Refuse tensors that are not those of a network, before they are used.

    Args:
        tensors: that were read.
        expected: of the network that the card announces, which may be on the meta device.
        dtype: of all of them.
        where: they came from; only for messages.

    Raises:
        JobError: one is missing, is too many, or has another shape or type.
    """
    others = sorted(tensors.keys() ^ expected.keys())
    if others:
        state = "is missing" if others[0] in expected else "does not belong there"
        raise JobError(f"{where}: not the weights that the card announces: {others[0]} {state}")
    for name, network in expected.items():
        tensor = tensors[name]
        if tensor.shape != network.shape or tensor.dtype != dtype:
            raise JobError(
                f"{where}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"{dtype} of shape {tuple(network.shape)}"
            )
