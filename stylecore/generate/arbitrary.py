"""The arbitrary generator: any photograph in any style, without training for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from stylecore.generate.adain import (
    ChannelStatistics,
    adapt,
    measure_channels,
    measure_pixels,
    mix_channels,
)
from stylecore.generate.decoder import SCALE, Decoder
from stylecore.images.tensors import crop
from stylecore.perception.encoder import Encoder
from stylecore.types import FeatureMap, ImageBatch

FEATURES: Final = "relu4_1"  # what is adapted, and what the decoder draws from
PIXELS: Final = "pixels"  # which are adapted too, to be drawn upon

Style = Mapping[str, ChannelStatistics]  # of these two layers at least


class ArbitraryGenerator(nn.Module):
    """Encoder, adaptive instance normalization, decoder.

    Args:
        encoder: the network that the decoder was trained with.
        decoder: of ``FEATURES``.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def measure(self, paintings: Sequence[ImageBatch], weights: Sequence[float]) -> Style:
        """What a style is: the statistics of its paintings, mixed by their weights.

        Args:
            paintings: at least one, each of shape (1, 3, h, w), at the size of the strokes.
            weights: as many, of which only the ratio matters.

        Returns:
            Of one image.
        """
        each = [measure_adapted(one, self._encode(one)) for one in paintings]
        shares = torch.tensor([weights], device=paintings[0].device) / sum(weights)
        return {
            name: ChannelStatistics(
                shares @ torch.cat([one[name].mean for one in each]),
                shares @ torch.cat([one[name].deviation for one in each]),
            )
            for name in (PIXELS, FEATURES)
        }

    def forward(self, photographs: ImageBatch, style: Style, strength: float = 1.0) -> ImageBatch:
        """Stylize photographs of one size.

        Args:
            photographs: in [0, 1], shape (b, 3, h, w).
            style: from ``measure``.
            strength: how much of the style, the paper's alpha: at 0 the decoder is given the
                photograph and its own features, and adds next to nothing to it.

        Returns:
            Shape (b, 3, h, w), in [0, 1].
        """
        height, width = photographs.shape[-2:]
        extended = _extend(photographs)
        features = self._encode(extended)
        own = measure_adapted(extended, features)
        share = extended.new_full((len(extended),), strength)
        mixed = {name: mix_channels(own[name], style[name], share) for name in own}
        pictures = self.decoder(
            adapt(features, own[FEATURES], mixed[FEATURES]),
            adapt(extended, own[PIXELS], mixed[PIXELS]),
        )
        return crop(pictures, height, width)

    def _encode(self, images: ImageBatch) -> FeatureMap:
        features: FeatureMap = self.encoder(images, [FEATURES])[FEATURES]
        return features


def measure_adapted(images: ImageBatch, features: FeatureMap) -> Style:
    """Statistics of images and of their features."""
    return {PIXELS: measure_pixels(images), FEATURES: measure_channels(features)}


def _extend(photographs: ImageBatch) -> ImageBatch:
    """Repeat the right and lower edge up to whole pixels of the features, of two at least."""
    below, right = (max(-side % SCALE, 2 * SCALE - side) for side in photographs.shape[-2:])
    if below == 0 and right == 0:
        return photographs
    return functional.pad(photographs, (0, right, 0, below), mode="replicate")
