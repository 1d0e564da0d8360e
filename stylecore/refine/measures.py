"""The measures that the gate looks at, on pictures."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from stylecore.images.tensors import pad_to_minimum
from stylecore.metrics.quality import ssim
from stylecore.refine.gate import GateFigures
from stylecore.types import ImageBatch


class TextureDistance(Protocol):
    """How far a texture is from that of paintings, as ``TextureMeasures`` says."""

    def fdrl(self, picture: ImageBatch) -> float:
        """Frechet distance of a picture of shape (1, 3, h, w); lower is better."""


class GateMeasures:
    """What the gate looks at.

    Args:
        texture: made for the paintings.
        distance: from ``build_lpips``.
    """

    def __init__(self, texture: TextureDistance, distance: nn.Module) -> None:
        self.texture = texture
        self.distance = distance

    @torch.inference_mode()
    def measure(self, picture: ImageBatch, content: ImageBatch) -> GateFigures:
        """Figures of one picture.

        Args:
            picture: in [0, 1], shape (1, 3, h, w).
            content: its photograph, same shape.
        """
        padded = pad_to_minimum(picture), pad_to_minimum(content)
        return GateFigures(
            fdrl=self.texture.fdrl(picture),
            lpips=self.distance(*padded, normalize=True).item(),
            ssim=ssim(picture, content),
        )
