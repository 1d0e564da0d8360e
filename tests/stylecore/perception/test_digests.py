import subprocess
import sys

from stylecore.perception.digests import shipped_weights_digest


def test_every_encoder_has_a_digest_of_its_own():
    assert len({shipped_weights_digest("vgg16"), shipped_weights_digest("vgg19")}) == 2


def test_digests_and_layer_names_need_no_torch():
    code = (
        "import sys, stylecore.perception.digests, stylecore.perception.layers;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
