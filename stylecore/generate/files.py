"""A generator as bytes: safetensors in half precision, with a card in its header.

Bytes from elsewhere are untrusted: no pickle is ever read, and a file is measured before a network
is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from stylecore.errors import StyleUnknownError
from stylecore.generate.cards import AnyCard, GeneratorCard, TranslatorCard
from stylecore.generate.networks import Generator
from stylecore.perception.tensor_files import (
    CARD_KEY,
    check_shapes,
    find_kind,
    read_card,
    read_tensors,
    write_tensors,
)

_KIND: Final = "generator"
_NAMED: Final = 8


def save_generator(generator: Generator, card: AnyCard) -> bytes:
    """The file of a generator: its weights in half precision, and the card in the header.

    Eleven bits of a weight's mantissa move no pixel by a whole step of 1/255 for long; the file is
    half as large.
    """
    halves = {name: tensor.half() for name, tensor in generator.state_dict().items()}
    return write_tensors(halves, {CARD_KEY: card.model_dump_json()})


def load_generator(data: bytes, where: str) -> tuple[Generator, AnyCard]:
    """Read a generator that ``save_generator`` wrote, onto the CPU, in single precision.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: the file is too large, damaged, not safetensors, not a generator, or of other
            shapes than its card says.
    """
    tensors, header = read_tensors(data, where)
    card = read_known_card(header, where)
    with torch.device("meta"):  # a card of one line can announce gigabytes
        generator = Generator(card.num_styles, card.width, card.num_blocks)
    check_shapes(tensors, generator.state_dict(), torch.float16, where)
    singles = {name: tensor.float() for name, tensor in tensors.items()}
    generator.load_state_dict(singles, assign=True)
    return generator.requires_grad_(False).eval(), card


def place_styles(card: AnyCard, uri: str, digests: Sequence[str]) -> list[int]:
    """Which of a generator's styles paintings are.

    Args:
        card: of the generator.
        uri: of the paintings, for messages.
        digests: SHA-256 of each painting's file; none: the only style that there is.

    Raises:
        StyleUnknownError: it was not trained for one of them, or none is named and there are
            several; a translator was trained for none.
    """
    if isinstance(card, TranslatorCard):
        if digests:
            reason = (
                "the generator is a translator, which makes one kind of picture whatever painting "
                "is named: name none (no --style), or another generator"
            )
            raise StyleUnknownError(uri, reason)
        return [0]
    known = {style.digest: number for number, style in enumerate(card.styles)}
    names = ", ".join(style.name for style in card.styles[:_NAMED])
    if not digests:
        if len(card.styles) > 1:
            reason = f"the generator knows {names}: name the painting of the one that is wanted"
            raise StyleUnknownError(uri, reason)
        return [0]
    for digest in digests:
        if digest not in known:
            raise StyleUnknownError(
                uri,
                f"the generator was not trained for this painting (SHA-256 {digest[:12]}...). It "
                f"knows {names}: name the file of one of them, or train it for this one",
            )
    return [known[digest] for digest in digests]


def read_known_card(header: Mapping[str, str], where: str) -> AnyCard:
    """The card of a generator or translator; arguments and errors as for ``read_card``."""
    if find_kind(header) == "translator":
        return read_card(header, TranslatorCard, where, _KIND)
    return read_card(header, GeneratorCard, where, _KIND)
