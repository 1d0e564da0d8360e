"""An arbitrary generator as bytes: its decoder in half precision, with a card in the header.

The encoder is not in the file: it is the VGG-16 that is shipped, named by its digest in the card.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, JsonValue

from stylecore.errors import JobError
from stylecore.generate.decoder import Decoder
from stylecore.generate.files import Digest
from stylecore.perception.digests import VGG16_SHA256
from stylecore.perception.tensor_files import (
    CARD_KEY,
    check_shapes,
    read_card,
    read_tensors,
    write_tensors,
)
from stylecore.settings import FrozenModel


class ArbitraryCard(FrozenModel):
    """What an arbitrary generator is: how it is built, what it learned from, how good it was.

    Attributes:
        kind: tells it from other weights.
        version: of stylebatch that wrote it.
        encoder_digest: SHA-256 of the weights of the VGG-16 that it was trained with.
        num_features: channels of the encoder's layer that it draws from.
        width: of the decoder.
        num_blocks: of the decoder.
        max_side_px: longest side of the photographs and paintings that it was trained on.
        num_paintings: that it was trained on.
        num_photographs: that it was trained on.
        pictures_digest: SHA-256 over all photographs and paintings.
        settings: of the training.
        metrics: figures on validation photographs, by name.
        license: what the paintings and photographs allow, in the words of who trained it.
    """

    kind: Literal["arbitrary"] = "arbitrary"
    version: str = Field(max_length=100)
    encoder_digest: Digest = VGG16_SHA256
    num_features: int = Field(512, ge=1, le=4096)
    width: int = Field(32, ge=1, le=256)
    num_blocks: int = Field(2, ge=0, le=32)
    max_side_px: int = Field(512, ge=16, le=8192)
    num_paintings: int = Field(0, ge=0)
    num_photographs: int = Field(0, ge=0)
    pictures_digest: Digest
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    license: str = Field("", max_length=10_000)


def save_arbitrary(decoder: Decoder, card: ArbitraryCard) -> bytes:
    """The file of an arbitrary generator."""
    halves = {name: tensor.half() for name, tensor in decoder.state_dict().items()}
    return write_tensors(halves, {CARD_KEY: card.model_dump_json()})


def load_arbitrary(data: bytes, where: str) -> tuple[Decoder, ArbitraryCard]:
    """Read a decoder that ``save_arbitrary`` wrote, onto the CPU, in single precision.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: the file is too large, damaged, not safetensors, no arbitrary generator, of other
            shapes than its card says, or was trained with another encoder.
    """
    tensors, header = read_tensors(data, where)
    card = read_card(header, ArbitraryCard, where, "arbitrary")
    if card.encoder_digest != VGG16_SHA256:
        raise JobError(
            f"{where}: was trained with another VGG-16 (SHA-256 {card.encoder_digest[:12]}...) "
            "than the one that is shipped: train it again"
        )
    with torch.device("meta"):  # a card of one line can announce gigabytes
        decoder = Decoder(card.num_features, card.width, card.num_blocks)
    check_shapes(tensors, decoder.state_dict(), torch.float16, where)
    singles = {name: tensor.float() for name, tensor in tensors.items()}
    decoder.load_state_dict(singles, assign=True)
    return decoder.requires_grad_(False).eval(), card
