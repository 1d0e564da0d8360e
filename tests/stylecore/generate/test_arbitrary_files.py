import json

import pytest
import torch
from safetensors.torch import save

from stylecore.errors import JobError
from stylecore.generate.arbitrary_files import load_arbitrary, save_arbitrary
from stylecore.generate.cards import ArbitraryCard, GeneratorCard, GeneratorStyle
from stylecore.generate.decoder import Decoder
from stylecore.generate.files import save_generator
from stylecore.generate.loading import ArbitraryNetwork, TrainedNetwork, load_network
from stylecore.generate.networks import Generator
from stylecore.settings import GeneratorSettings

DIGEST = "0" * 64
CARD = ArbitraryCard(version="1", num_features=6, width=4, num_blocks=1, pictures_digest=DIGEST)
SETTINGS = GeneratorSettings(uri="s3://bucket/generator.safetensors")


def decoder(card: ArbitraryCard = CARD) -> Decoder:
    torch.manual_seed(1)
    return Decoder(card.num_features, card.width, card.num_blocks)


def trained_file() -> bytes:
    style = GeneratorStyle(name="waves", digest=DIGEST)
    card = GeneratorCard(
        version="1", width=4, num_blocks=1, styles=(style,), photographs_digest=DIGEST
    )
    return save_generator(Generator(1, 4, 1), card)


def test_what_is_written_is_read_in_half_precision():
    network = decoder()
    read, card = load_arbitrary(save_arbitrary(network, CARD), "here")
    assert card == CARD
    for name, tensor in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor.half().float())


def test_card_tells_which_network_it_is():
    arbitrary = load_network(save_arbitrary(decoder(), CARD), SETTINGS)
    trained = load_network(trained_file(), SETTINGS)
    assert isinstance(arbitrary, ArbitraryNetwork)
    assert isinstance(trained, TrainedNetwork)


def test_trained_generators_have_no_strength_to_choose():
    half = SETTINGS.model_copy(update={"strength": 0.5})
    assert isinstance(load_network(save_arbitrary(decoder(), CARD), half), ArbitraryNetwork)
    with pytest.raises(JobError, match=r"generator\.strength: 0\.5 is for .* any painting"):
        load_network(trained_file(), half)


def test_decoder_of_another_encoder_is_refused():
    card = CARD.model_copy(update={"encoder_digest": "1" * 64})
    with pytest.raises(JobError, match="here: was trained with another VGG-16"):
        load_arbitrary(save_arbitrary(decoder(), card), "here")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "something else or damaged"),
        (b"PK\x03\x04", "a PyTorch pickle"),
        (save({"a": torch.zeros(1)}), "without a card"),
        (save({"a": torch.zeros(1)}, {"card": "{}"}), "not the card of a generator"),
        (save({"a": torch.zeros(1)}, {"card": "[1]"}), "not the card of a generator"),
        (save({"a": torch.zeros(1)}, {"card": "{"}), "not the card of a generator"),
        (save({"a": torch.zeros(1)}, {"card": '{"kind": "arbitrary"}'}), "card of a arbitrary"),
        (save({"a": torch.zeros(1)}, {"card": '{"kind": "refiner"}'}), "card of a generator"),
        (save({"a": torch.full((1,), torch.nan)}, {"card": "{}"}), "not finite"),
    ],
)
def test_foreign_weights_are_refused(data, message):
    with pytest.raises(JobError, match=message) as caught:
        load_network(data, SETTINGS)
    assert str(caught.value).startswith("generator: s3://bucket/generator.safetensors")


@pytest.mark.parametrize(
    "changes", [{"width": 8}, {"num_features": 512}, {"num_blocks": 2}, {"num_blocks": 0}]
)
def test_weights_of_other_shapes_than_the_card_says_are_refused(changes):
    card = CARD.model_copy(update=changes)
    with pytest.raises(JobError, match="here: "):
        load_arbitrary(save_arbitrary(decoder(), card), "here")


def test_card_that_announces_gigabytes_costs_none():
    card = {**json.loads(CARD.model_dump_json()), "width": 256, "num_features": 4096}
    with pytest.raises(JobError, match="not the weights that the card announces"):
        load_arbitrary(save({"a": torch.zeros(1)}, {"card": json.dumps(card)}), "here")
