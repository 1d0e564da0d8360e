"""A generator's file: what is read is what was written, and nothing else is."""

import pytest
import torch
from generators import translator_file
from safetensors.torch import save

from stylecore.errors import JobError, StyleUnknownError
from stylecore.generate.cards import GeneratorCard, GeneratorStyle, TranslatorCard
from stylecore.generate.files import load_generator, place_styles, save_generator
from stylecore.generate.loading import read_network_card
from stylecore.generate.networks import Generator
from stylecore.perception.tensor_files import write_tensors
from stylecore.refine.files import RefinerCard, save_refiner
from stylecore.refine.networks import Refiner


@pytest.fixture
def card() -> GeneratorCard:
    styles = (
        GeneratorStyle(name="wave", digest=64 * "a"),
        GeneratorStyle(name="sea", digest="b" * 64),
    )
    return GeneratorCard(
        version="1", width=4, num_blocks=1, styles=styles, photographs_digest="c" * 64
    )


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(2, 4, 1)


def refuse(data: bytes) -> str:
    with pytest.raises(JobError) as error:
        load_generator(data, "gen.safetensors")
    assert str(error.value).startswith("gen.safetensors")
    return str(error.value)


def test_a_file_is_read_as_it_was_written_in_half_precision(generator, card):
    read, read_card = load_generator(save_generator(generator, card), "here")
    assert read_card == card
    for name, tensor in generator.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor.half().float()), name


def test_half_precision_changes_no_pixel_by_more_than_two_levels(generator, card):
    read, _ = load_generator(save_generator(generator, card), "here")
    photograph = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[1.0, 0.0]])
    with torch.no_grad():
        assert (read(photograph, shares) - generator(photograph, shares)).abs().max() < 2 / 255


def test_a_pickle_is_refused(tmp_path, generator):
    torch.save(generator.state_dict(), tmp_path / "g.pt")
    assert "a PyTorch pickle" in refuse((tmp_path / "g.pt").read_bytes())


def test_other_safetensors_are_refused(generator):
    assert "without a card" in refuse(save({"a": torch.zeros(1)}))


def test_a_refiner_is_refused():
    data = save_refiner(Refiner(4, 1), RefinerCard(version="1", width=4, num_blocks=1))
    assert "not the card of a generator" in refuse(data)


@pytest.mark.parametrize("change", [{"width": 8}, {"num_blocks": 2}])
def test_weights_of_another_network_than_the_card_says_are_refused(generator, card, change):
    refuse(save_generator(generator, card.model_copy(update=change)))


def test_weights_of_more_styles_than_the_card_says_are_refused(generator, card):
    fewer = card.model_copy(update={"styles": card.styles[:1]})
    assert "expected torch.float16 of shape (1, 4)" in refuse(save_generator(generator, fewer))


def test_single_precision_is_refused(generator, card):
    data = write_tensors(generator.state_dict(), {"card": card.model_dump_json()})
    assert "torch.float32" in refuse(data)


def test_weights_that_are_not_finite_are_refused(generator, card):
    generator.leave.bias.data.fill_(torch.inf)
    assert "leave.bias" in refuse(save_generator(generator, card))


def test_a_translator_is_a_generator_of_one_style():
    generator, card = load_generator(translator_file(), "here")
    assert isinstance(card, TranslatorCard)
    assert generator.num_styles == card.num_styles == 1
    assert read_network_card(translator_file(), "here") == card


def test_a_translator_takes_no_painting():
    card = read_network_card(translator_file(), "here")
    assert place_styles(card, "", []) == [0]
    with pytest.raises(StyleUnknownError, match=r"a translator.*name none \(no --style\)"):
        place_styles(card, "wave.jpg", ["a" * 64])


def test_weights_of_more_styles_are_no_translator(generator):
    digests = {"photographs_digest": "0" * 64, "examples_digest": "1" * 64}
    card = TranslatorCard(version="1", width=4, num_blocks=1, **digests)
    assert "expected torch.float16 of shape (1, 4)" in refuse(save_generator(generator, card))


def test_a_translators_card_that_lacks_a_field_is_refused(generator):
    data = write_tensors(generator.state_dict(), {"card": '{"kind": "translator"}'})
    assert "not the card of a generator (version" in refuse(data)


@pytest.mark.parametrize("card", ["[]", "nothing", "3", '{"kind": ["translator"]}'])
def test_a_card_that_is_none_is_refused(generator, card):
    assert "not the card of a generator" in refuse(
        write_tensors(generator.state_dict(), {"card": card})
    )
