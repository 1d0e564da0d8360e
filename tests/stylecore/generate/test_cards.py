"""Cards say what a pass costs: as many operations as PyTorch counts."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stylecore.generate.arbitrary import FEATURES
from stylecore.generate.cards import ArbitraryCard, GeneratorCard, GeneratorStyle
from stylecore.generate.decoder import SCALE, Decoder
from stylecore.generate.networks import Generator
from stylecore.perception.encoder import build_encoder
from stylecore.perception.weights import load_weights

DIGEST = "0" * 64


@pytest.mark.parametrize(("width", "num_blocks"), [(24, 4), (8, 1)])
def test_a_generators_arithmetic_is_what_is_counted(width: int, num_blocks: int) -> None:
    card = GeneratorCard(
        version="1",
        styles=(GeneratorStyle(name="a", digest=DIGEST),),
        photographs_digest=DIGEST,
        width=width,
        num_blocks=num_blocks,
    )
    network = Generator(1, width, num_blocks)
    counted = count(network, torch.rand(1, 3, 64, 64), torch.ones(1, 1))
    assert card.flop_per_pixel == pytest.approx(counted / 64**2, rel=0.01)


@pytest.mark.parametrize(("width", "num_blocks"), [(32, 2), (8, 3)])
def test_an_arbitrary_generators_arithmetic_has_its_encoder(width: int, num_blocks: int) -> None:
    card = ArbitraryCard(version="1", pictures_digest=DIGEST, width=width, num_blocks=num_blocks)
    encoder = build_encoder("vgg16", "max", load_weights("vgg16", None))
    decoder = Decoder(card.num_features, width, num_blocks)
    photograph = torch.rand(1, 3, 64, 64)
    features = torch.rand(1, card.num_features, 64 // SCALE, 64 // SCALE)
    counted = count(encoder, photograph, [FEATURES]) + count(decoder, features, photograph)
    assert card.flop_per_pixel == pytest.approx(counted / 64**2, rel=0.01)


def count(network: nn.Module, *inputs: object) -> int:
    """Operations of a pass."""
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops()
