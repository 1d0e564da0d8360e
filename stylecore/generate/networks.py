"""The feed-forward generator: Johnson et al. 2016 (arXiv:1603.08155), normalized by instance.

Several styles share one network: only the gain and offset of each normalization are a style's own
(conditional instance normalization, Dumoulin et al. 2017, arXiv:1610.07629), so that styles may
also be mixed. Upsampling by nearest neighbor before a convolution leaves no checkerboards (Odena et
al. 2016, doi:10.23915/distill.00003), reflection padding no frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stylecore.types import FeatureMap, ImageBatch

_EPSILON: Final = 1e-5
_COLOR_EPSILON: Final = 1e-3  # the variance of a photograph that is all but flat

# How much of each style is in each picture; rows add up to one.
StyleShares = Float[Tensor, "b s"]


class ConditionalNorm(nn.Module):
    """Instance normalization with a gain and an offset for each style.

    Args:
        num_styles: how many.
        channels: of the features.
    """

    def __init__(self, num_styles: int, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_styles, channels))
        self.offset = nn.Parameter(torch.zeros(num_styles, channels))

    def forward(self, features: FeatureMap, shares: StyleShares) -> FeatureMap:
        """Normalize each channel of each picture, and scale it as the picture's styles say."""
        # By itself, since the kernels that PyTorch has for it either copy channels-last features,
        # which takes four times as long, or lose their variance where the mean is much larger.
        centred = features.float()
        centred = centred - centred.mean(dim=(2, 3), keepdim=True)
        variance = centred.square().mean(dim=(2, 3), keepdim=True)
        gain, offset = of_style(self.gain, shares), of_style(self.offset, shares)
        scale = gain[..., None, None] * torch.rsqrt(variance + _EPSILON)
        return torch.addcmul(offset[..., None, None], centred, scale)


class ConvolutionStage(nn.Module):
    """Convolution, normalization, and where wanted a rectifier."""

    def __init__(self, num_styles: int, num_in: int, num_out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = _convolution(num_in, num_out, stride)
        self.norm = ConditionalNorm(num_styles, num_out)

    def forward(self, features: FeatureMap, shares: StyleShares) -> FeatureMap:
        """Shape (b, c, h, w) to (b, c', h / stride, w / stride), rounded up."""
        found: FeatureMap = self.norm(self.convolution(features), shares)
        return found


class GeneratorBlock(nn.Module):
    """Two stages beside the identity."""

    def __init__(self, num_styles: int, channels: int) -> None:
        super().__init__()
        self.first = ConvolutionStage(num_styles, channels, channels)
        self.second = ConvolutionStage(num_styles, channels, channels)

    def forward(self, features: FeatureMap, shares: StyleShares) -> FeatureMap:
        """Shape is kept."""
        found: FeatureMap = self.second(functional.relu(self.first(features, shares)), shares)
        return features + found


class ColorMatch(nn.Module):
    """The photograph in colors of each style: deviations from its mean, mixed and shifted.

    What the network adds to is thus the photograph itself. One that had to draw all of it anew
    draws strokes first, and learns what the photograph shows last.
    """

    def __init__(self, num_styles: int) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.eye(3).repeat(num_styles, 1, 1))
        self.shift = nn.Parameter(torch.zeros(num_styles, 3))

    def forward(self, photographs: ImageBatch, shares: StyleShares) -> ImageBatch:
        """Shape is kept; what comes out is before the sigmoid."""
        normal = functional.instance_norm(photographs, eps=_COLOR_EPSILON)
        mixing = of_style(self.mixing, shares)
        mixed = (mixing[..., None, None] * normal[:, None]).sum(dim=2)
        return mixed + of_style(self.shift, shares)[..., None, None]


class Generator(nn.Module):
    """A photograph to a picture in one of the styles it was trained for, or a mixture of them.

    Args:
        num_styles: how many there are.
        width: channels at full size; twice and four times as many at half and quarter size.
        num_blocks: residual blocks at quarter size.
    """

    def __init__(self, num_styles: int = 1, width: int = 24, num_blocks: int = 4) -> None:
        super().__init__()
        self.num_styles = num_styles
        self.enter = ConvolutionStage(num_styles, 3, width)
        self.halve = ConvolutionStage(num_styles, width, 2 * width, stride=2)
        self.quarter = ConvolutionStage(num_styles, 2 * width, 4 * width, stride=2)
        self.blocks = nn.ModuleList(
            GeneratorBlock(num_styles, 4 * width) for _ in range(num_blocks)
        )
        self.to_half = ConvolutionStage(num_styles, 4 * width, 2 * width)
        self.to_full = ConvolutionStage(num_styles, 2 * width, width)
        self.leave = _convolution(width, 3)
        self.color = ColorMatch(num_styles)

    def forward(self, photographs: ImageBatch, shares: StyleShares) -> ImageBatch:
        """Stylize photographs of one size.

        Args:
            photographs: in [0, 1], shape (b, 3, h, w), sides of at least 16 px.
            shares: of each style in each picture, shape (b, s).

        Returns:
            Shape (b, 3, h, w), in [0, 1].
        """
        drawn = self._decode(self.encode(photographs, shares), shares)
        return torch.sigmoid(drawn.float() + self.color(photographs, shares))

    def encode(self, photographs: ImageBatch, shares: StyleShares) -> list[FeatureMap]:
        """The first half of a pass: what the network sees in photographs.

        Args:
            photographs: as in ``forward``.
            shares: as in ``forward``.

        Returns:
            Features at full, half and quarter size, and then those after each block of the first
            half of the blocks, which are at quarter size too.
        """
        full = functional.relu(self.enter(photographs - 0.5, shares))
        half = functional.relu(self.halve(full, shares))
        found = [full, half, functional.relu(self.quarter(half, shares))]
        for block in self.blocks[: len(self.blocks) // 2]:
            found.append(block(found[-1], shares))
        return found

    def _decode(self, features: Sequence[FeatureMap], shares: StyleShares) -> FeatureMap:
        """The second half of a pass: what is added to the photograph in the style's colors."""
        full, half, *_, quarter = features
        for block in self.blocks[len(self.blocks) // 2 :]:
            quarter = block(quarter, shares)
        half = functional.relu(self.to_half(_enlarge(quarter, half), shares)) + half
        full = functional.relu(self.to_full(_enlarge(half, full), shares)) + full
        drawn: FeatureMap = self.leave(full)
        return drawn


def of_style(values: Tensor, shares: StyleShares) -> Tensor:
    """What each picture takes of a parameter that every style has: (s, ...) to (b, ...).

    Not a product of matrices: autocast would round that to half precision.
    """
    spread = shares.view(*shares.shape, *[1] * (values.ndim - 1))
    return (spread * values).sum(dim=1)


def _convolution(num_in: int, num_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, 3, stride, padding=1, padding_mode="reflect")


def _enlarge(features: FeatureMap, like: FeatureMap) -> FeatureMap:
    return functional.interpolate(features, size=like.shape[-2:], mode="nearest")
