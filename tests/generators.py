"""Generators that are small, seeded, and good for nothing else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from stylecore.generate.cards import GeneratorCard, GeneratorStyle, TranslatorCard
from stylecore.generate.files import save_generator
from stylecore.generate.networks import ConditionalNorm, Generator


def generator_file(paintings: Sequence[Path], seed: int = 0) -> bytes:
    """The file of a generator that knows these paintings; each style makes another picture."""
    torch.manual_seed(seed)
    generator = Generator(len(paintings), width=4, num_blocks=1)
    for module in generator.modules():
        if isinstance(module, ConditionalNorm):
            module.offset.data = torch.randn(module.offset.shape)
    styles = tuple(
        GeneratorStyle(name=path.stem, digest=hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paintings
    )
    card = GeneratorCard(
        version="1", width=4, num_blocks=1, styles=styles, photographs_digest="0" * 64
    )
    return save_generator(generator, card)


def translator_file(seed: int = 0) -> bytes:
    """The file of a translator."""
    torch.manual_seed(seed)
    digests = {"photographs_digest": "0" * 64, "examples_digest": "1" * 64}
    card = TranslatorCard(version="1", width=4, num_blocks=1, **digests)
    return save_generator(Generator(1, width=4, num_blocks=1), card)
