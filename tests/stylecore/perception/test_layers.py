from typing import get_args

import pytest

from stylecore.errors import JobError
from stylecore.perception.layers import check_layers, layer_names
from stylecore.settings import EncoderName, OptimizeSettings


@pytest.mark.parametrize("encoder", get_args(EncoderName))
def test_the_layers_that_a_job_uses_by_default_exist(encoder):
    settings = OptimizeSettings(encoder=encoder)
    check_layers((*settings.content_layers, *settings.style_layers), layer_names(encoder))


def test_blocks_of_resnet50_are_numbered_as_in_torchvision():
    names = layer_names("resnet50")
    assert names[:3] == ("relu1", "pool1", "layer1_0")
    assert [sum(name.startswith(f"layer{n}") for name in names) for n in (1, 2, 3, 4)] == [
        *(3, 4, 6, 3)
    ]


def test_layers_of_another_network_are_refused_with_the_real_names():
    with pytest.raises(JobError, match=r"unknown layer relu4_2; .*layer3_5"):
        check_layers(["relu1", "relu4_2"], layer_names("resnet50"))
