"""Files of arbitrary generators that nobody trained, for the tiny encoder of the tests."""

import torch

from stylecore.generate.arbitrary_files import save_arbitrary
from stylecore.generate.cards import ArbitraryCard
from stylecore.generate.decoder import Decoder


def tiny_arbitrary(seed: int = 0) -> bytes:
    """With seeded random weights, six channels wide at the encoder's side."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = Decoder(6, width=4, num_blocks=1)
    card = ArbitraryCard(
        version="1", num_features=6, width=4, num_blocks=1, pictures_digest="0" * 64
    )
    return save_arbitrary(decoder, card)
