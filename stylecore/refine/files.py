"""A refiner as bytes: safetensors, with a card in its header that says what it is.

Bytes from elsewhere are untrusted: no pickle is ever read, and a file is measured before a network
is built from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import torch
from pydantic import Field, JsonValue, ValidationError
from safetensors.torch import save
from torch import Tensor

from stylecore.errors import JobError
from stylecore.perception.tensor_files import is_finite, read_safetensors
from stylecore.refine.networks import Refiner
from stylecore.settings import FrozenModel

MAX_BYTES: Final = 256 * 2**20
_CARD_KEY: Final = "card"
_REMEDY: Final = "name the file that training wrote"

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class RefinerCard(FrozenModel):
    """What a refiner is: how it is built, what it learned from, how good it was.

    Attributes:
        kind: tells it from other weights.
        version: of stylebatch that wrote it.
        width: of the network.
        num_blocks: of the network.
        style_digests: SHA-256 of each painting.
        data_digests: SHA-256 of each pair of pictures that it was trained or chosen on.
        settings: of the training.
        metrics: figures on validation pictures, by name.
        alpha: strength for the whole style by validation pictures; 0 if none helps.
        license: what the paintings and pictures allow, in the words of who trained it.
    """

    kind: Literal["refiner"] = "refiner"
    version: str = Field(max_length=100)
    width: int = Field(16, ge=1, le=256)
    num_blocks: int = Field(3, ge=0, le=32)
    style_digests: tuple[Digest, ...] = Field((), max_length=10_000)
    data_digests: tuple[Digest, ...] = Field((), max_length=1_000_000)
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    alpha: float = Field(0.0, ge=0, le=1)
    license: str = Field("", max_length=10_000)


def save_refiner(refiner: Refiner, card: RefinerCard) -> bytes:
    """The file of a refiner: its weights, and the card in the header."""
    return write_tensors(refiner.state_dict(), {_CARD_KEY: card.model_dump_json()})


def load_refiner(data: bytes, where: str) -> tuple[Refiner, RefinerCard]:
    """Read a refiner that ``save_refiner`` wrote, onto the CPU.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: the file is too large, damaged, not safetensors, not a refiner, or of other
            shapes than its card says.
    """
    tensors, header = read_tensors(data, where)
    card = _read_card(header, where)
    with torch.device("meta"):  # a card of one line can announce gigabytes
        refiner = Refiner(card.width, card.num_blocks)
    expected = {name: tuple(tensor.shape) for name, tensor in refiner.state_dict().items()}
    _check_shapes(tensors, expected, where)
    refiner.load_state_dict(tensors, assign=True)
    return refiner.requires_grad_(False).eval(), card


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


def _read_card(header: Mapping[str, str], where: str) -> RefinerCard:
    if _CARD_KEY not in header:
        raise JobError(
            f"{where}: safetensors without a card, so these are not weights of a "
            "refiner: name the file that `stylebatch train refiner` wrote"
        )
    try:
        return RefinerCard.model_validate_json(header[_CARD_KEY])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "card"
        raise JobError(
            f"{where}: this is not the card of a refiner ({field}: {first['msg']}): "
            "name the file that `stylebatch train refiner` wrote"
        ) from error


def _check_shapes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], where: str
) -> None:
    others = sorted(tensors.keys() ^ expected.keys())
    if others:
        state = "is missing" if others[0] in expected else "does not belong there"
        raise JobError(f"{where}: not the weights that the card announces: {others[0]} {state}")
    for name, shape in expected.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
            raise JobError(
                f"{where}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"torch.float32 of shape {shape}"
            )
