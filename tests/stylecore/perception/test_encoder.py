import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from stylecore.errors import JobError
from stylecore.images.codec import decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import ConvolutionAndReLU, build_encoder, build_vgg
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, layer_names, vgg_layers
from stylecore.perception.weights import load_weights


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 19, 16, generator=torch.Generator().manual_seed(2))


def test_layers_carry_the_names_of_the_literature_in_torchvisions_numbering():
    keys = dict(vgg_layers(CONVOLUTIONS_PER_BLOCK["vgg16"]))
    rectifiers = {name: int(key.removeprefix("features.")) + 1 for name, key in keys.items() if key}
    expected = {"relu1_1": 1, "relu2_1": 6, "relu3_1": 11, "relu4_1": 18, "relu4_2": 20}
    assert expected.items() <= rectifiers.items()
    assert (rectifiers["relu5_1"], rectifiers["relu5_3"]) == (25, 29)
    assert dict(vgg_layers(CONVOLUTIONS_PER_BLOCK["vgg19"]))["relu5_4"] == "features.34"


def test_convolution_pads_with_zeros_and_rectifies():
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(1, 2, 4, 5, generator=generator)
    weight = torch.randn(3, 2, 3, 3, generator=generator)
    bias = torch.randn(3, generator=generator)
    padded = np.pad(image[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    expected = np.zeros((3, 4, 5))
    for y in range(4):
        for x in range(5):
            window = padded[:, y : y + 3, x : x + 3]
            expected[:, y, x] = (weight.numpy() * window).sum(axis=(1, 2, 3)) + bias.numpy()
    found = ConvolutionAndReLU(weight, bias)(image)[0]
    np.testing.assert_allclose(found.numpy(), expected.clip(min=0), rtol=1e-4, atol=1e-5)


def test_images_are_normalised_as_imagenet_was(tiny_encoder, images):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalised = (images.double().numpy() - mean[:, None, None]) / std[:, None, None]
    expected = tiny_encoder.stages["relu1_1"](torch.from_numpy(normalised).float())
    torch.testing.assert_close(tiny_encoder(images, ["relu1_1"])["relu1_1"], expected)


def test_encoder_stops_after_the_last_layer_asked_for(tiny_encoder, images):
    run: list[str] = []
    for name, stage in tiny_encoder.stages.items():
        stage.register_forward_hook(lambda *_, name=name: run.append(name))
    found = tiny_encoder(images, ["relu2_1", "relu1_2", "relu2_1"])
    assert run == ["relu1_1", "relu1_2", "pool1", "relu2_1"]
    assert set(found) == {"relu1_2", "relu2_1"}


def test_later_layers_leave_the_features_of_earlier_ones_alone(tiny_encoder, images):
    together = tiny_encoder(images, tiny_encoder.layer_names)
    for name in tiny_encoder.layer_names:
        torch.testing.assert_close(together[name], tiny_encoder(images, [name])[name])


def test_unknown_layer_is_refused_with_the_real_names(tiny_encoder, images):
    with pytest.raises(JobError, match=r"conv9_9.*relu1_1, .*relu5_3") as caught:
        tiny_encoder(images, ["relu1_1", "conv9_9"])
    assert all(name in str(caught.value) for name in layer_names("vgg16"))


@pytest.mark.parametrize(
    ("pooling", "operation"), [("max", functional.max_pool2d), ("average", functional.avg_pool2d)]
)
def test_blocks_end_with_the_pooling_asked_for(pooling, operation):
    ones = {"features.0.weight": torch.ones(2, 3, 3, 3), "features.0.bias": torch.zeros(2)}
    found = build_vgg([1, 0], pooling, ones)(torch.rand(1, 3, 17, 16), ["relu1_1", "pool1"])
    torch.testing.assert_close(found["pool1"], operation(found["relu1_1"], 2))


def test_rescaled_average_pooling_keeps_the_order_of_magnitude_of_max_pooling():
    ones = {"features.0.weight": torch.ones(2, 3, 3, 3), "features.0.bias": torch.zeros(2)}
    image = torch.rand(1, 3, 17, 16, generator=torch.Generator().manual_seed(4))
    found = build_vgg([1, 0], "average-rescaled", ones)(image, ["relu1_1", "pool1"])
    torch.testing.assert_close(found["pool1"], 1.7 * functional.avg_pool2d(found["relu1_1"], 2))


@pytest.mark.slow
def test_rescaled_average_pooling_gives_the_shipped_network_activations_as_large():
    """Of a picture; how well, over all samples, is said where the factor stands."""
    samples = Path(__file__).parents[3] / "deployments" / "samples"
    data = (samples / "content/astronaut.jpg").read_bytes()
    photo = decode_image(data, "", DecodeLimits(max_bytes=2**20, max_pixels=2**20))
    image = to_batch([resize_content(photo, 256)])
    layers = ["relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    sizes = {}
    for pooling in ("max", "average-rescaled"):
        found = build_encoder("vgg16", pooling, load_weights("vgg16", None))(image, layers)
        sizes[pooling] = torch.stack([found[name].square().mean().sqrt() for name in layers])
    ratios = sizes["average-rescaled"] / sizes["max"]
    assert 0.75 < ratios.min() < ratios.max() < 1.35


def test_images_too_small_for_a_network_are_extended_by_their_edge(tiny_encoder):
    small = torch.rand(1, 3, 5, 18, generator=torch.Generator().manual_seed(5))
    extended = functional.pad(small, (0, 0, 0, 11), mode="replicate")
    expected = tiny_encoder(extended, ["relu5_1"])
    torch.testing.assert_close(tiny_encoder(small, ["relu5_1"]), expected)


def test_sizes_of_layers_are_known_without_an_image(tiny_encoder):
    layers = ["relu1_1", "relu3_1", "pool4"]
    features = tiny_encoder(torch.rand(1, 3, 37, 50), layers)
    expected = {name: tuple(found.shape[-2:]) for name, found in features.items()}
    assert tiny_encoder.layer_sizes(37, 50, layers) == expected
    assert not any(tensor.is_meta for tensor in tiny_encoder.state_dict().values())


def test_gradient_reaches_the_image_and_nothing_else(tiny_encoder, images):
    images.requires_grad_(True)
    tiny_encoder(images, ["relu5_1"])["relu5_1"].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in tiny_encoder.parameters())


def test_half_precision_weights_are_computed_in_single_precision(images):
    halves = {
        "features.0.weight": torch.full((2, 3, 3, 3), 0.1, dtype=torch.float16),
        "features.0.bias": torch.zeros(2, dtype=torch.float16),
    }
    assert build_vgg([1], "max", halves)(images, ["relu1_1"])["relu1_1"].dtype == torch.float32


def test_sizes_of_layers_can_be_asked_for_while_another_thread_uses_the_encoder(tiny_encoder):
    failures = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                tiny_encoder.layer_sizes(64, 48, ["relu3_1"])
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(30):
            tiny_encoder(torch.rand(1, 3, 64, 48), ["relu3_1"])
    finally:
        done.set()
        thread.join()
    assert failures == []


def test_a_copy_computes_in_bfloat16_and_the_encoder_stays_as_it_was(tiny_encoder, images):
    before = tiny_encoder(images, ["relu1_1", "relu2_1"])
    copied = tiny_encoder.in_precision(torch.bfloat16)
    rounded = copied(images, ["relu1_1", "relu2_1"])
    after = tiny_encoder(images, ["relu1_1", "relu2_1"])
    for name, features in before.items():
        assert torch.equal(after[name], features)
        assert rounded[name].dtype == torch.float32
        error = (rounded[name] - features).abs().max() / features.abs().max()
        assert 0 < error < 0.02, name
