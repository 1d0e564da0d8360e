"""Feature maps back to pictures: the half of an arbitrary generator that is trained.

It mirrors the encoder up to its fourth block, narrower: of what a picture costs on a CPU, most is
the encoder's. Nearest-neighbor upsampling and reflection padding, as in the paper
(arXiv:1703.06868, section 6), and no normalization, which would take the statistics away again.

Unlike the paper's decoder, which draws all of the picture anew, it adds to a ground: the photograph
in the style's colors. What a photograph shows is learned last, after a hundred times as many steps
as a CPU makes in an hour.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylecore.types import FeatureMap, ImageBatch

SCALE: Final = 8  # pixels of a picture across one of the features
_FIRST_CONTRAST: Final = 0.1  # an untrained network leaves the ground as it is, nearly
_LEAST_LIGHT: Final = 0.02  # of the ground: what is black or white can still be drawn upon
_LEAK: Final = 0.1


class Decoder(nn.Module):
    """Three doublings of size.

    Args:
        num_features: channels of the feature maps.
        width: channels at full size; twice and four times as many at half and quarter size.
        num_blocks: convolutions at quarter size that keep the number of channels.
    """

    def __init__(self, num_features: int, width: int = 32, num_blocks: int = 2) -> None:
        super().__init__()
        self.enter = _convolution(num_features, 4 * width)
        self.blocks = nn.ModuleList(_convolution(4 * width, 4 * width) for _ in range(num_blocks))
        self.to_half = _convolution(4 * width, 2 * width)
        self.at_half = _convolution(2 * width, 2 * width)
        self.to_full = _convolution(2 * width, width)
        self.at_full = _convolution(width, width)
        self.leave = _convolution(width, 3)
        with torch.no_grad():
            self.leave.weight.mul_(_FIRST_CONTRAST)

    def forward(self, features: FeatureMap, ground: ImageBatch) -> ImageBatch:
        """Draw pictures.

        Args:
            features: shape (b, c, h, w), each side at least 2.
            ground: what to draw upon, shape (b, 3, 8 h, 8 w); clamped to (0, 1).

        Returns:
            Shape (b, 3, 8 h, 8 w), in [0, 1].
        """
        quarter = _double(_rectify(self.enter(features)))
        for block in self.blocks:
            quarter = _rectify(block(quarter))
        half = _double(_rectify(self.to_half(quarter)))
        half = _rectify(self.at_half(half))
        full = _double(_rectify(self.to_full(half)))
        drawn = self.leave(_rectify(self.at_full(full)))
        return torch.sigmoid(drawn + torch.logit(ground, eps=_LEAST_LIGHT))


def _convolution(num_in: int, num_out: int) -> nn.Conv2d:
    """Drawn so that activations keep their size at any depth (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv2d(num_in, num_out, 3, padding=1, padding_mode="reflect")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _rectify(features: FeatureMap) -> FeatureMap:
    """Leaky: without normalization, channels that only rest now and then would die for good."""
    return functional.leaky_relu(features, _LEAK)


def _double(features: FeatureMap) -> Tensor:
    doubled: Tensor = functional.interpolate(features, scale_factor=2, mode="nearest")
    return doubled
