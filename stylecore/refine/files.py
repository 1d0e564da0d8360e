"""A refiner as bytes: safetensors, with a card in its header that says what it is.

Bytes from elsewhere are untrusted: no pickle is ever read, and a file is measured before a network
is built from it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, JsonValue

from stylecore.perception.tensor_files import (
    CARD_KEY,
    check_shapes,
    read_card,
    read_tensors,
    write_tensors,
)
from stylecore.refine.networks import Refiner
from stylecore.settings import FrozenModel

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
    return write_tensors(refiner.state_dict(), {CARD_KEY: card.model_dump_json()})


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
    card = read_card(header, RefinerCard, where, "refiner")
    with torch.device("meta"):  # a card of one line can announce gigabytes
        refiner = Refiner(card.width, card.num_blocks)
    check_shapes(tensors, refiner.state_dict(), torch.float32, where)
    refiner.load_state_dict(tensors, assign=True)
    return refiner.requires_grad_(False).eval(), card
