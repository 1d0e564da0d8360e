"""Adaptive instance normalization (Huang and Belongie 2017, arXiv:1703.06868).

A style is the mean and the deviation of each channel of feature maps. That makes arithmetic of it:
several styles are mixed by mixing these numbers, and less of a style is a mixture with those of the
photograph itself, which comes to the same as mixing the feature maps, as the paper does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stylecore.types import FeatureMap, ImageBatch

_EPSILON: Final = 1e-5
_PIXEL_EPSILON: Final = 1e-3  # the variance of a photograph that is all but flat

PerChannel = Float[Tensor, "b c"]


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What a layer's channels do on average, over all pixels of each image.

    Attributes:
        mean: shape (b, c).
        deviation: the standard deviation, not negative, same shape.
    """

    mean: PerChannel
    deviation: PerChannel

    def __getitem__(self, images: Int[Tensor, " n"]) -> ChannelStatistics:
        """Those of the images of these numbers, of shape (n, c)."""
        return ChannelStatistics(self.mean[images], self.deviation[images])

    def to(self, device: torch.device) -> ChannelStatistics:
        """The same on a device."""
        return ChannelStatistics(self.mean.to(device), self.deviation.to(device))


def measure_channels(features: FeatureMap) -> ChannelStatistics:
    """Mean and deviation of each channel of feature maps of shape (b, c, h, w)."""
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=0)
    return ChannelStatistics(mean, (variance + _EPSILON).sqrt())


def measure_pixels(images: ImageBatch) -> ChannelStatistics:
    """Mean and deviation of each color; what is all but flat counts as if it varied a little."""
    variance, mean = torch.var_mean(images, dim=(2, 3), correction=0)
    return ChannelStatistics(mean, (variance + _PIXEL_EPSILON).sqrt())


def mix_channels(
    one: ChannelStatistics, other: ChannelStatistics, share: Float[Tensor, " b"]
) -> ChannelStatistics:
    """A mixture, image by image.

    Args:
        one: of b images.
        other: of as many.
        share: of ``other``, in [0, 1].
    """
    share = share[:, None]
    return ChannelStatistics(
        torch.lerp(one.mean, other.mean, share), torch.lerp(one.deviation, other.deviation, share)
    )


def adapt(
    features: FeatureMap, own: ChannelStatistics, statistics: ChannelStatistics
) -> FeatureMap:
    """Give every channel of every image another mean and deviation (the paper's equation 8).

    Args:
        features: of photographs, shape (b, c, h, w); or the photographs.
        own: their statistics.
        statistics: to have, of b images or of one for all.

    Returns:
        Shape (b, c, h, w).
    """
    gain = statistics.deviation / own.deviation
    # In this order, since the gain of a channel that hardly varies is large.
    centred = features - own.mean[..., None, None]
    return torch.addcmul(statistics.mean[..., None, None], centred, gain[..., None, None])
