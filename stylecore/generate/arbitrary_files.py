"""An arbitrary generator as bytes: its decoder in half precision, with a card in the header.

The encoder is not in the file: it is the VGG-16 that is shipped, named by its digest in the card.
"""

from __future__ import annotations

import torch

from stylecore.errors import JobError
from stylecore.generate.cards import ArbitraryCard
from stylecore.generate.decoder import Decoder
from stylecore.perception.digests import VGG16_SHA256
from stylecore.perception.tensor_files import (
    CARD_KEY,
    check_shapes,
    read_card,
    read_tensors,
    write_tensors,
)


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
