"""Random weights in torchvision's shapes for the networks that are not shipped."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from stylecore.perception.encoder import Encoder, build_encoder


@cache
def _build(name: str) -> nn.Module:
    extra = {"aux_logits": True, "init_weights": False} if name == "inception_v3" else {}
    network = get_model(name, **extra).eval()
    generator = torch.Generator().manual_seed(11)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            spread = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data.normal_(0, spread, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.3, 0.7, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.requires_grad_(False)


@cache
def _encode(name: str) -> Encoder:
    return build_encoder(name, "max", _build(name).state_dict())


@pytest.fixture(params=["resnet50", "inception_v3"])
def network_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def random_network(network_name: str) -> nn.Module:
    """Torchvision's own module, with seeded random weights and statistics."""
    return _build(network_name)


@pytest.fixture
def random_weights(random_network: nn.Module) -> dict[str, Tensor]:
    """Its weights in half precision: files of half the size."""
    return {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in random_network.state_dict().items()
    }


@pytest.fixture
def random_encoder(network_name: str) -> Encoder:
    """Of these weights; shared by the tests, which must not change it."""
    return _encode(network_name)
