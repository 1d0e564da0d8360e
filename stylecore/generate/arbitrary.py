"""The arbitrary generator: any photograph in any style, without training for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from stylecore.generate.adain import ChannelStatistics, adapt, measure_channels, mix_channels
from stylecore.generate.decoder import SCALE, Decoder
from stylecore.images.tensors import crop
from stylecore.perception.encoder import Encoder
from stylecore.types import ImageBatch

FEATURES: Final = "relu4_1"  # what is adapted, and what the decoder draws from


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

    def measure(
        self, paintings: Sequence[ImageBatch], weights: Sequence[float]
    ) -> ChannelStatistics:
        """What a style is: the statistics of its paintings, mixed by their weights.

        Args:
            paintings: at least one, each of shape (1, 3, h, w), at the size of the strokes.
            weights: as many, of which only the ratio matters.

        Returns:
            Of one image.
        """
        each = [measure_channels(self.encoder(one, [FEATURES])[FEATURES]) for one in paintings]
        shares = torch.tensor([weights], device=each[0].mean.device) / sum(weights)
        return ChannelStatistics(
            shares @ torch.cat([one.mean for one in each]),
            shares @ torch.cat([one.deviation for one in each]),
        )

    def forward(
        self, photographs: ImageBatch, style: ChannelStatistics, strength: float = 1.0
    ) -> ImageBatch:
        """Stylize photographs of one size.

        Args:
            photographs: in [0, 1], shape (b, 3, h, w).
            style: from ``measure``.
            strength: how much of the style, the paper's alpha: at 0 the decoder is given the
                photograph's own features, which it draws in its own way.

        Returns:
            Shape (b, 3, h, w), in [0, 1].
        """
        height, width = photographs.shape[-2:]
        features = self.encoder(_extend(photographs), [FEATURES])[FEATURES]
        own = measure_channels(features)
        share = own.mean.new_full((len(photographs),), strength)
        there = ChannelStatistics(
            style.mean.expand_as(own.mean), style.deviation.expand_as(own.deviation)
        )
        pictures = self.decoder(adapt(features, mix_channels(own, there, share)))
        return crop(pictures, height, width)


def _extend(photographs: ImageBatch) -> ImageBatch:
    """Repeat the right and lower edge up to whole pixels of the features, of two at least."""
    below, right = (max(-side % SCALE, 2 * SCALE - side) for side in photographs.shape[-2:])
    if below == 0 and right == 0:
        return photographs
    return functional.pad(photographs, (0, right, 0, below), mode="replicate")
