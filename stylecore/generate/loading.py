"""Any of the networks that the method generator takes: the card in its file says which it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from stylecore.errors import JobError
from stylecore.generate.arbitrary_files import load_arbitrary
from stylecore.generate.cards import AnyCard, ArbitraryCard
from stylecore.generate.decoder import Decoder
from stylecore.generate.files import load_generator, read_known_card
from stylecore.generate.networks import Generator
from stylecore.perception.tensor_files import find_kind, read_card, read_tensors
from stylecore.settings import GeneratorSettings


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A generator of the styles that it was trained for, or a translator."""

    generator: Generator
    card: AnyCard


@dataclass(frozen=True, eq=False)
class ArbitraryNetwork:
    """A decoder of any style."""

    decoder: Decoder
    card: ArbitraryCard


def load_network(data: bytes, settings: GeneratorSettings) -> TrainedNetwork | ArbitraryNetwork:
    """Read what a training wrote, onto the CPU, in single precision.

    Args:
        data: the whole file.
        settings: where it came from, and what is wanted of it.

    Raises:
        JobError: the file is damaged, no generator of ours, of other shapes than its card says, or
            cannot do what is wanted.
    """
    where = f"generator: {settings.uri}"
    if isinstance(read_network_card(data, where), ArbitraryCard):
        return ArbitraryNetwork(*load_arbitrary(data, where))
    network = TrainedNetwork(*load_generator(data, where))
    if settings.strength != 1:
        raise JobError(
            f"generator.strength: {settings.strength:g} is for generators that take any painting; "
            f"{settings.uri} was trained for its styles and makes them in full: leave it out, or "
            "name one that `stylebatch train arbitrary` wrote"
        )
    return network


@lru_cache(maxsize=2)  # a job of ten thousand styles asks it for each
def read_network_card(data: bytes, where: str) -> AnyCard | ArbitraryCard:
    """What a file says that it is.

    Args:
        data: the whole file.
        where: it came from; only for messages.

    Raises:
        JobError: it is damaged, or no generator of ours.
    """
    _, header = read_tensors(data, where)
    if find_kind(header) == "arbitrary":
        return read_card(header, ArbitraryCard, where, "arbitrary")
    return read_known_card(header, where)
