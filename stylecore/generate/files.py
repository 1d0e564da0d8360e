"""A generator as bytes: safetensors in half precision, with a card in its header.

Bytes from elsewhere are untrusted: no pickle is ever read, and a file is measured before a network
is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import torch
from pydantic import Field, JsonValue

from stylecore.errors import StyleUnknownError
from stylecore.generate.networks import Generator
from stylecore.perception.tensor_files import (
    CARD_KEY,
    check_shapes,
    read_card,
    read_kind,
    read_tensors,
    write_tensors,
)
from stylecore.settings import FrozenModel

_KIND: Final = "generator"
_NAMED: Final = 8
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class GeneratorStyle(FrozenModel):
    """A style that a generator knows.

    Attributes:
        name: of the painting's file, without suffix.
        digest: SHA-256 of the painting's file.
    """

    name: str = Field(max_length=200)
    digest: Digest


class GeneratorCard(FrozenModel):
    """What a generator is: how it is built, what it learned from, how good it was.

    Attributes:
        kind: tells it from other weights.
        version: of stylebatch that wrote it.
        width: of the network.
        num_blocks: of the network.
        styles: in the network's order.
        max_side_px: longest side of the photographs that it was trained on: strokes have the size
            that they have in a picture of this size.
        num_photographs: that it was trained on.
        photographs_digest: SHA-256 over them all.
        settings: of the training.
        metrics: figures on validation photographs, by name.
        license: what the paintings and photographs allow, in the words of who trained it.
    """

    kind: Literal["generator"] = "generator"
    version: str = Field(max_length=100)
    width: int = Field(24, ge=1, le=256)
    num_blocks: int = Field(4, ge=0, le=32)
    styles: tuple[GeneratorStyle, ...] = Field(min_length=1, max_length=1000)
    max_side_px: int = Field(512, ge=16, le=8192)
    num_photographs: int = Field(0, ge=0)
    photographs_digest: Digest
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    license: str = Field("", max_length=10_000)

    @property
    def num_styles(self) -> int:
        """Of the network."""
        return len(self.styles)


class TranslatorCard(FrozenModel):
    """What a translator is: a generator that knows no painting, but one kind of picture.

    Attributes:
        kind: tells it from other weights.
        version: of stylebatch that wrote it.
        width: of the network.
        num_blocks: of the network.
        max_side_px: longest side of the pictures that it was trained on.
        num_photographs: that it was trained on.
        photographs_digest: SHA-256 over them all.
        num_examples: of the other kind, that it was trained on.
        examples_digest: SHA-256 over them all.
        settings: of the training.
        metrics: figures on validation photographs, by name.
        license: what the pictures of both kinds allow, in the words of who trained it.
    """

    kind: Literal["translator"] = "translator"
    version: str = Field(max_length=100)
    width: int = Field(24, ge=1, le=256)
    num_blocks: int = Field(4, ge=0, le=32)
    max_side_px: int = Field(512, ge=16, le=8192)
    num_photographs: int = Field(0, ge=0)
    photographs_digest: Digest
    num_examples: int = Field(0, ge=0)
    examples_digest: Digest
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    license: str = Field("", max_length=10_000)

    @property
    def num_styles(self) -> int:
        """Of the network."""
        return 1


AnyCard = GeneratorCard | TranslatorCard


def save_generator(generator: Generator, card: AnyCard) -> bytes:
    """The file of a generator: its weights in half precision, and the card in the header.

    Eleven bits of a weight's mantissa move no pixel by a whole step of 1/255 for long; the file is
    half as large.
    """
    halves = {name: tensor.half() for name, tensor in generator.state_dict().items()}
    return write_tensors(halves, {CARD_KEY: card.model_dump_json()})


def read_generator_card(header: Mapping[str, str], where: str) -> AnyCard:
    """The card of a generator or translator, from ``read_tensors``; errors as ``read_card``."""
    if read_kind(header) == "translator":
        return read_card(header, TranslatorCard, where, _KIND)
    return read_card(header, GeneratorCard, where, _KIND)


def load_generator(data: bytes, where: str) -> tuple[Generator, AnyCard]:
    """Read what ``save_generator`` wrote, onto the CPU, in single precision.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: the file is too large, damaged, not safetensors, not a generator, or of other
            shapes than its card says.
    """
    tensors, header = read_tensors(data, where)
    card = read_generator_card(header, where)
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
