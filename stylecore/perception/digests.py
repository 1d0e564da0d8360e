"""Digests of the default weights, as constants: planning needs them and must not read 30 MB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stylecore.settings import EncoderName

VGG16_SHA256: Final = "a0606ae48e5838fd6444b0c3105007fa554a81714ed9c937f2e1ca122c57b345"
LPIPS_HEADS_SHA256: Final = "41ce25830cfbe52af7f9c3f323c08d7138a5ed6436bca068f747f93025981e8e"
# torchvision's files carry the first eight digits of their SHA-256 in their names.
_VGG19_SHA256_START: Final = "dcbb9e9d"
_RESNET50_SHA256_START: Final = "0676ba61"  # IMAGENET1K_V1
_INCEPTION_V3_SHA256_START: Final = "0cc3c7bd"

_DIGESTS: Final[Mapping[EncoderName, str]] = {
    "vgg16": VGG16_SHA256,
    "vgg19": _VGG19_SHA256_START,
    "resnet50": _RESNET50_SHA256_START,
    "inception_v3": _INCEPTION_V3_SHA256_START,
}


def shipped_weights_digest(encoder: EncoderName) -> str:
    """SHA-256 of the weights used when a job names none, as far as it is known beforehand.

    Returns:
        Lower-case hex: 64 digits for shipped files, the first 8 for torchvision's.
    """
    return _DIGESTS[encoder]
