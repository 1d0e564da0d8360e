"""Targets of one style for the whole picture, as most tests want them."""

from collections.abc import Sequence

from stylecore.perception.encoder import Encoder
from stylecore.perception.targets import Painting, Region, StyleTarget, make_region_target
from stylecore.types import ImageBatch


def make_style_target(
    encoder: Encoder,
    styles: Sequence[tuple[ImageBatch, float]],
    layers: Sequence[str],
    is_centred: bool = False,
) -> StyleTarget:
    """Statistics of a painting, or of a blend of several with weights."""
    region = Region([Painting(image, weight) for image, weight in styles])
    return make_region_target(encoder, [region], layers, is_centred)
