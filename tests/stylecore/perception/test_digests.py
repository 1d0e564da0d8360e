import subprocess
import sys
from typing import get_args

import pytest

from stylecore.perception.digests import shipped_weights_digest
from stylecore.settings import EncoderName


def test_every_encoder_has_a_digest_of_its_own():
    encoders = get_args(EncoderName)
    assert len({shipped_weights_digest(encoder) for encoder in encoders}) == len(encoders)


@pytest.mark.parametrize("encoder", ["vgg19", "resnet50", "inception_v3"])
def test_the_digest_is_the_one_in_torchvisions_file_name(encoder):
    from torchvision.models import get_model_weights

    url = get_model_weights(encoder)["IMAGENET1K_V1"].url
    assert url.endswith(f"-{shipped_weights_digest(encoder)}.pth")


def test_digests_and_layer_names_need_no_torch():
    code = (
        "import sys, stylecore.perception.digests, stylecore.perception.layers;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
