"""The two networks: a refiner that adds a residual, and a discriminator that judges patches.

The residual is the same for red, green and blue, since the adversary sees no colors: a freedom that
nobody judges would only drift.

Upsampling by nearest neighbor and then convolving leaves no checkerboards (Odena et al. 2016,
doi:10.23915/distill.00003); reflection padding leaves no frame.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from stylecore.images.color import Luminance
from stylecore.refine.adversary import Logits
from stylecore.types import FeatureMap, ImageBatch

MINIMUM_SIDE_PX: Final = 16
_REACH: Final = 0.5  # the largest change of a pixel, in units of [0, 1]
_SLOPE: Final = 0.2


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, without normalization.

    Normalization would take the contrast of a texture away, which is what is to be judged.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Shape is kept."""
        hidden = functional.leaky_relu(self.first(_activate(features)), _SLOPE)
        change: Tensor = self.second(hidden)
        return features + change


class Refiner(nn.Module):
    """Generator: a stylized picture and its photograph to a more lifelike stylized picture.

    A new one is the identity, since its last convolution is zero.

    Args:
        width: channels at full size; twice and four times as many at half and quarter size.
        num_blocks: residual blocks at quarter size.
    """

    def __init__(self, width: int = 16, num_blocks: int = 3) -> None:
        super().__init__()
        self.enter = _convolution(6, width)
        self.halve = _convolution(width, 2 * width, stride=2)
        self.quarter = _convolution(2 * width, 4 * width, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(num_blocks)))
        self.to_half = _convolution(4 * width, 2 * width)
        self.to_full = _convolution(2 * width, width)
        self.detail = ResidualBlock(width)
        self.leave = _convolution(width, 1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, stylized: ImageBatch, content: ImageBatch, alpha: float = 1.0) -> ImageBatch:
        """Refine pictures of any size from 16 px.

        Args:
            stylized: in [0, 1], shape (b, 3, h, w).
            content: their photographs, same shape.
            alpha: strength, from 0 (the stylized pictures themselves) to 1.

        Returns:
            Shape (b, 3, h, w), in [0, 1].
        """
        return (stylized + alpha * self.residual(stylized, content)).clamp(0, 1)

    def residual(self, stylized: ImageBatch, content: ImageBatch) -> Luminance:
        """What full strength adds to every channel: shape (b, 1, h, w), in [-0.5, 0.5]."""
        full = self.enter(torch.cat((stylized, content), dim=1) - 0.5)
        half = self.halve(_activate(full))
        quarter = self.blocks(self.quarter(_activate(half)))
        half = half + self.to_half(_enlarge(_activate(quarter), half))
        full = full + self.to_full(_enlarge(_activate(half), full))
        change: Tensor = self.leave(_activate(self.detail(full)))
        return _REACH * change.tanh()


class Discriminator(nn.Module):
    """Says for every patch of a picture whether it comes from a painting.

    Args:
        num_channels: of what it is shown.
        width: channels at full size.
        is_normalized: spectral normalization (Miyato et al. 2018, arXiv:1802.05957).
    """

    def __init__(self, num_channels: int, width: int = 16, is_normalized: bool = False) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.enter = _convolution(num_channels, width)
        self.stages = nn.ModuleList(
            _Stage(num_in, num_out) for num_in, num_out in zip(widths, widths[1:], strict=False)
        )
        self.verdict = nn.Conv2d(widths[-1], 1, 1)
        if is_normalized:
            for module in [*self.modules()]:
                if isinstance(module, nn.Conv2d):
                    spectral_norm(module)

    def forward(self, view: Float[Tensor, "b c h w"]) -> Logits:
        """Shape (b, c, h, w), sides of at least 16 px, to (b, 1, ceil(h / 8), ceil(w / 8))."""
        logits: Logits = self.verdict(_activate(self.features(view)[-1]))
        return logits

    def features(self, view: Float[Tensor, "b c h w"]) -> list[FeatureMap]:
        """What it looks at: the outputs of its stages, at half, quarter and eighth of the size."""
        features = self.enter(view)
        found: list[FeatureMap] = []
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        return found


class _Stage(nn.Module):
    """A residual block that halves the size."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.first = _convolution(num_in, num_in)
        self.second = _convolution(num_in, num_out, stride=2)
        self.shortcut = nn.Conv2d(num_in, num_out, 1, bias=False)

    def forward(self, features: FeatureMap) -> FeatureMap:
        hidden = functional.leaky_relu(self.first(_activate(features)), _SLOPE)
        pooled = functional.avg_pool2d(features, 2, ceil_mode=True)
        halved: Tensor = self.shortcut(pooled) + self.second(hidden)
        return halved / 2**0.5


def _convolution(num_in: int, num_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, 3, stride, padding=1, padding_mode="reflect")


def _activate(features: FeatureMap) -> FeatureMap:
    return functional.leaky_relu(features, _SLOPE)


def _enlarge(features: FeatureMap, like: FeatureMap) -> FeatureMap:
    return functional.interpolate(features, size=like.shape[-2:], mode="nearest")
