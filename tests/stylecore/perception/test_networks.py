"""ResNet-50 and Inception-v3 with random weights, against torchvision's own modules."""

import pytest
import torch
from safetensors.torch import save
from style_targets import make_style_target

from stylecore.errors import JobError
from stylecore.images.tensors import pad_to_minimum
from stylecore.perception.encoder import build_encoder
from stylecore.perception.layers import check_pooling, layer_names
from stylecore.perception.objective import Objective
from stylecore.perception.targets import make_content_target
from stylecore.perception.weights import load_weights
from stylecore.settings import OptimizeSettings


def image(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(12))


def torchvision_layers(name: str, network: torch.nn.Module, normalised: torch.Tensor):
    """Activations by our names, recorded while torchvision runs the network."""
    places = {layer: layer for layer in layer_names("inception_v3")}
    if name == "resnet50":
        places = {"relu1": "relu", "pool1": "maxpool"}
        places |= {n: n.replace("_", ".") for n in layer_names("resnet50") if "layer" in n}
    found = {}
    hooks = [
        # Cloned, since torchvision's rectifiers overwrite what they are given.
        network.get_submodule(place).register_forward_hook(
            lambda _m, _i, output, layer=layer: found.setdefault(layer, output.clone())
        )
        for layer, place in places.items()
    ]
    network(normalised)
    for hook in hooks:
        hook.remove()
    return found


def test_every_layer_equals_torchvisions(network_name, random_network, random_encoder):
    picture = image(96, 83)
    if network_name == "inception_v3":
        normalised = picture * 2 - 1
    else:
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
        normalised = (picture - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = torchvision_layers(network_name, random_network, normalised)
    found = random_encoder(picture, random_encoder.layer_names)
    assert list(found) == list(expected) == list(layer_names(network_name))
    for name, features in expected.items():
        scale = features.abs().max().item()
        torch.testing.assert_close(found[name], features, rtol=0, atol=1e-5 * scale)


def test_no_batch_normalisation_is_left_to_compute(random_encoder):
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in random_encoder.modules())
    assert not any(tensor.is_meta for tensor in random_encoder.state_dict().values())


def test_later_stages_leave_the_activations_of_earlier_ones_alone(random_encoder):
    picture = image(75, 75)
    together = random_encoder(picture, random_encoder.layer_names)
    for name in random_encoder.layer_names[1::6]:
        torch.testing.assert_close(together[name], random_encoder(picture, [name])[name])


def test_the_smallest_picture_reaches_the_last_layer(network_name, random_encoder):
    last = random_encoder.layer_names[-1]
    small = image(16, 20)
    found = random_encoder(small, [last])[last]
    assert found.shape[-2:] == (1, 1)
    if network_name == "inception_v3":
        torch.testing.assert_close(found, random_encoder(pad_to_minimum(small, 75), [last])[last])


def test_default_layers_exist_and_differ_in_size(network_name, random_encoder):
    settings = OptimizeSettings(encoder=network_name)
    features = random_encoder(image(128, 128), [*settings.content_layers, *settings.style_layers])
    heights = [features[name].shape[-2] for name in settings.style_layers]
    assert heights == sorted(set(heights), reverse=True)
    assert len(heights) == 5


def test_layers_that_are_named_win_over_the_defaults(network_name):
    first = layer_names(network_name)[0]
    settings = OptimizeSettings(encoder=network_name, style_layers=(first,))
    assert settings.style_layers == (first,)
    assert settings.content_layers == OptimizeSettings(encoder=network_name).content_layers


def test_given_weights_are_used_and_the_classifier_is_left_out(network_name, random_weights):
    loaded = load_weights(network_name, save(random_weights))
    assert not any(key.startswith(("fc.", "AuxLogits.")) for key in loaded)
    assert not any(key.endswith("num_batches_tracked") for key in loaded)
    torch.testing.assert_close(loaded, {key: random_weights[key] for key in loaded})
    build_encoder(network_name, "max", loaded)  # nothing else is needed


def test_weights_of_another_network_are_refused(network_name, random_weights):
    other = "inception_v3" if network_name == "resnet50" else "resnet50"
    with pytest.raises(JobError, match=rf"these are not {other} weights: no "):
        load_weights(other, save(random_weights))
    with pytest.raises(JobError, match=r"these are not vgg16 weights: no features\.0\.weight"):
        load_weights("vgg16", save(random_weights))


def test_weights_of_another_shape_are_refused(network_name, random_weights):
    key = next(key for key in random_weights if key.endswith(".running_var"))
    bad = random_weights | {key: torch.ones(7)}
    with pytest.raises(JobError, match=rf"{key} has shape \(7,\), expected"):
        load_weights(network_name, save(bad))


def test_weights_that_cannot_be_downloaded_are_named(network_name, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(JobError, match=rf"the {network_name} weights from .*{network_name}"):
        load_weights(network_name, None)


@pytest.mark.parametrize("pooling", ["average", "average-rescaled"])
def test_pooling_that_the_network_does_not_have_is_refused(network_name, pooling):
    with pytest.raises(JobError, match=f"{pooling} is for vgg16 and vgg19; {network_name}"):
        build_encoder(network_name, pooling, {})
    check_pooling("vgg19", pooling)
    check_pooling(network_name, "max")


def test_gradient_of_smoothed_activations_agrees_with_finite_differences(
    network_name, random_weights
):
    encoder = build_encoder(network_name, "max", random_weights, "softmax").double()
    settings = OptimizeSettings(encoder=network_name)
    content, picture, painting = image(16, 16, count=3).double().split(1)
    objective = Objective(
        encoder,
        make_content_target(encoder, content, settings.content_layers),
        make_style_target(encoder, [(painting, 1.0)], settings.style_layers),
    )
    deepest = objective.content.features[settings.content_layers[-1]]
    torch.testing.assert_close(deepest.mean(), torch.ones_like(deepest.mean()))
    picture.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: objective(x).total, (picture,), fast_mode=True)
