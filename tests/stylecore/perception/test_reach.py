import pytest
import torch

from stylecore.errors import JobError
from stylecore.images.tiling import ALIGNMENT_PX
from stylecore.perception.encoder import Encoder, build_vgg
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, vgg_layers
from stylecore.perception.reach import find_geometry


def one_channel_vgg(name: str) -> Encoder:
    """Every pixel that a cell can see has a part in it: nothing is clipped, nothing is negative."""
    weights = {}
    num_in = 3
    for _, key in vgg_layers(CONVOLUTIONS_PER_BLOCK[name]):
        if key is not None:
            weights[f"{key}.weight"] = torch.full((1, num_in, 3, 3), 1 / (9 * num_in)).double()
            weights[f"{key}.bias"] = torch.ones(1)
            num_in = 1
    return build_vgg(CONVOLUTIONS_PER_BLOCK[name], "average", weights).double()


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
@pytest.mark.parametrize("layer", ["relu1_1", "pool1", "relu3_1", "relu4_2", "relu5_1", "relu5_3"])
def test_a_cell_sees_no_further_than_the_halo_and_further_than_a_smaller_one(name, layer):
    encoder = one_channel_vgg(name)
    geometry = find_geometry(encoder, [layer])
    stride, cell_px = geometry.strides[layer], 160
    images = torch.ones(1, 3, 16, 336, dtype=torch.float64, requires_grad=True)
    features = encoder(images, [layer])[layer]
    assert features.shape[-1] == 336 // stride
    (gradient,) = torch.autograd.grad(features[0, 0, 0, cell_px // stride], images)
    seen = gradient[0, 0, 0].nonzero().flatten()
    reach = cell_px - int(seen.min())
    assert int(seen.max()) - (cell_px + stride - 1) == reach
    assert geometry.halo_px - ALIGNMENT_PX < reach <= geometry.halo_px


@pytest.mark.parametrize(("name", "halo_px"), [("vgg16", 64), ("vgg19", 80)])
def test_the_furthest_layer_decides(name, halo_px):
    geometry = find_geometry(one_channel_vgg(name), ["relu5_1", "relu1_1", "relu4_2"])
    assert geometry.halo_px == halo_px
    assert geometry.strides == {"relu1_1": 1, "relu4_2": 8, "relu5_1": 16}


def test_a_layer_that_does_not_exist_is_refused(tiny_encoder):
    with pytest.raises(JobError, match="unknown layer relu9_1"):
        find_geometry(tiny_encoder, ["relu9_1"])


def test_smoothed_activations_are_refused(tiny_encoder):
    tiny_encoder.smoothing = "softmax"
    with pytest.raises(JobError, match="takes whole pictures"):
        find_geometry(tiny_encoder, ["relu1_1"])


def test_networks_that_are_no_vgg_are_refused(random_encoder):
    with pytest.raises(JobError, match="tiles are for vgg16 and vgg19"):
        find_geometry(random_encoder, random_encoder.layer_names[:1])
