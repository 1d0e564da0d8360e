import io
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save

from stylecore.errors import JobError
from stylecore.perception import weights
from stylecore.perception.weights import load_lpips_heads, load_weights


@pytest.fixture
def small_vgg16(monkeypatch) -> dict[str, torch.Tensor]:
    """Weights of a VGG-16 that is expected to be two channels wide everywhere."""
    monkeypatch.setattr(weights, "CHANNELS_PER_BLOCK", (2, 2, 2, 2, 2))
    shapes = weights._expected_shapes("vgg16")
    return {key: torch.full(shape, 0.5, dtype=torch.float16) for key, shape in shapes.items()}


def test_shipped_weights_have_the_digests_that_planning_uses():
    assert load_weights("vgg16", None)["features.28.weight"].shape == (512, 512, 3, 3)
    heads = load_lpips_heads()
    assert [heads[f"lin{n}"].shape[1] for n in range(5)] == [64, 128, 256, 512, 512]


def test_damaged_shipped_weights_are_refused(monkeypatch):
    monkeypatch.setattr(weights, "VGG16_SHA256", "0" * 64)
    with pytest.raises(JobError, match=r"vgg16-features-fp16\.safetensors is damaged"):
        load_weights("vgg16", None)


def test_damaged_lpips_heads_are_refused(monkeypatch):
    monkeypatch.setattr(weights, "LPIPS_HEADS_SHA256", "0" * 64)
    with pytest.raises(JobError, match=r"lpips-vgg-linear\.safetensors is damaged"):
        load_lpips_heads()


def test_given_weights_are_used_and_the_classifier_is_left_out(small_vgg16):
    data = save(small_vgg16 | {"classifier.0.weight": torch.zeros(3, 3)})
    loaded = load_weights("vgg16", data)
    torch.testing.assert_close(loaded, small_vgg16)


@pytest.mark.parametrize("is_zip", [True, False])
def test_pickle_is_refused_without_being_read(small_vgg16, is_zip):
    buffer = io.BytesIO()
    torch.save(small_vgg16, buffer, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(JobError, match="PyTorch pickle.*safetensors"):
        load_weights("vgg16", buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"<html>no such file</html>"])
def test_other_bytes_are_refused(data):
    with pytest.raises(JobError, match="must be a safetensors file"):
        load_weights("vgg16", data)


def test_weights_of_another_network_are_refused(small_vgg16):
    with pytest.raises(JobError, match=r"not vgg19 weights: no features\.16\.weight"):
        load_weights("vgg19", save(small_vgg16))


def test_weights_of_another_shape_are_refused(small_vgg16):
    small_vgg16["features.5.weight"] = torch.zeros(2, 3, 3, 3)
    with pytest.raises(JobError, match=r"features\.5\.weight has shape \(2, 3, 3, 3\), expected"):
        load_weights("vgg16", save(small_vgg16))


@pytest.mark.parametrize("bad", [torch.tensor([0.0, float("nan")]), torch.tensor([1, 2])])
def test_weights_that_are_not_finite_numbers_are_refused(small_vgg16, bad):
    small_vgg16["features.0.bias"] = bad
    with pytest.raises(JobError, match=r"features\.0\.bias has values"):
        load_weights("vgg16", save(small_vgg16))


@pytest.mark.parametrize("failure", [URLError("no route"), RuntimeError("invalid hash value")])
def test_vgg19_that_cannot_be_downloaded_says_what_to_do(monkeypatch, capsys, failure):
    def fail(*_: object, **__: object) -> None:
        print("Downloading")  # noqa: T201 (as torch.hub does)
        raise failure

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(JobError, match="encoder_weights_uri"):
        load_weights("vgg19", None)
    assert capsys.readouterr().out == ""


def test_vgg19_from_torchvision_keeps_the_convolutions(monkeypatch):
    monkeypatch.setattr(weights, "CHANNELS_PER_BLOCK", (2, 2, 2, 2, 2))
    state = {key: torch.zeros(shape) for key, shape in weights._expected_shapes("vgg19").items()}
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda *_, **__: state | {"classifier.6.bias": torch.zeros(5)},
    )
    assert load_weights("vgg19", None).keys() == state.keys()
