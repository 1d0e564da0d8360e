import io
import json

import pytest
import torch
from safetensors.torch import save

from stylecore.errors import JobError
from stylecore.perception import tensor_files
from stylecore.refine.files import RefinerCard, load_refiner, save_refiner
from stylecore.refine.networks import Refiner


@pytest.fixture
def card() -> RefinerCard:
    return RefinerCard(
        version="1.2.3",
        width=4,
        num_blocks=1,
        style_digests=("a" * 64,),
        data_digests=("b" * 64, "c" * 64),
        settings={"num_steps": 7, "adversary": "hinge"},
        metrics={"accepted": 0.5},
        alpha=0.75,
        license="CC0",
    )


@pytest.fixture
def refiner() -> Refiner:
    torch.manual_seed(5)
    network = Refiner(4, 1)
    torch.nn.init.normal_(network.leave.weight)
    return network


def refuse(data: bytes) -> str:
    with pytest.raises(JobError) as caught:
        load_refiner(data, "s3://bucket/refiner.safetensors")
    message = str(caught.value)
    assert message.startswith("s3://bucket/refiner.safetensors: ")
    return message


def with_card(refiner: Refiner, card: dict[str, object]) -> bytes:
    return save(refiner.state_dict(), {"card": json.dumps(card)})


def test_refiner_comes_back_from_its_file_with_its_card(refiner, card):
    found, found_card = load_refiner(save_refiner(refiner, card), "here")
    assert found_card == card
    assert found.state_dict().keys() == refiner.state_dict().keys()
    for name, tensor in refiner.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)


def test_loaded_refiner_is_frozen(refiner, card):
    found, _ = load_refiner(save_refiner(refiner, card), "here")
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_pickle_is_refused_unread(refiner):
    buffer = io.BytesIO()
    torch.save(refiner.state_dict(), buffer)
    assert "PyTorch pickle" in refuse(buffer.getvalue())


@pytest.mark.parametrize("num_bytes", [0, 5, 100, 1000])
def test_truncated_file_is_refused(refiner, card, num_bytes):
    assert "safetensors" in refuse(save_refiner(refiner, card)[:num_bytes])


def test_picture_is_refused():
    assert "safetensors" in refuse(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_weights_of_something_else_are_refused():
    assert "without a card" in refuse(save({"features.0.weight": torch.zeros(2)}))


@pytest.mark.parametrize(
    "change",
    [{"kind": "generator"}, {"width": 0}, {"width": 10**6}, {"unknown": 1}, {"alpha": 2.0}],
)
def test_card_of_something_else_is_refused_by_the_field(refiner, card, change):
    name = next(iter(change))
    assert f"({name}: " in refuse(with_card(refiner, card.model_dump(mode="json") | change))


def test_card_that_is_not_json_is_refused(refiner):
    assert "not the card" in refuse(save(refiner.state_dict(), {"card": "{"}))


def test_weights_of_another_width_than_the_card_says_are_refused(refiner, card):
    data = save_refiner(refiner, card.model_copy(update={"width": 8}))
    assert "expected torch.float32 of shape (8, 6, 3, 3)" in refuse(data)


@pytest.mark.parametrize(("num_blocks", "state"), [(0, "does not belong"), (2, "is missing")])
def test_weights_of_another_depth_than_the_card_says_are_refused(refiner, card, num_blocks, state):
    data = save_refiner(refiner, card.model_copy(update={"num_blocks": num_blocks}))
    assert state in refuse(data)


def test_weights_that_are_not_finite_are_refused(refiner, card):
    refiner.leave.bias.data.fill_(torch.nan)
    assert "leave.bias" in refuse(save_refiner(refiner, card))


def test_file_larger_than_any_refiner_is_refused_unread(refiner, card, monkeypatch):
    data = save_refiner(refiner, card)
    monkeypatch.setattr(tensor_files, "MAX_BYTES", len(data) - 1)
    assert f"{len(data)} bytes" in refuse(data)
