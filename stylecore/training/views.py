"""What the adversary sees: luminance in two units, and no colors.

Matching the palette alone would win the game on colors (design, section 8), and raising the
contrast of large areas alone wins it on luminance in units of the picture's deviation. So there is
a second channel that neither changes: what a blur takes away, in units of its own deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stylecore.images.color import Luminance, luminance_of
from stylecore.types import ImageBatch

NUM_CHANNELS: Final = 2
_BLUR_PX: Final = 17
_LEAST_DEVIATION: Final = 1 / 255  # the rounding of a flat picture is no texture

View = Float[Tensor, "b 2 h w"]
_Figure = Float[Tensor, "b 1 1 1"]


@dataclass(frozen=True)
class Units:
    """What pictures are measured in, each of shape (b, 1, 1, 1).

    Attributes:
        mean: of luminance.
        deviation: of luminance.
        detail: deviation of what a blur takes away.
    """

    mean: _Figure
    deviation: _Figure
    detail: _Figure

    @classmethod
    def of(cls, pictures: ImageBatch) -> Units:
        """Those of whole pictures, shape (b, 3, h, w)."""
        luminance = luminance_of(pictures)
        mean = luminance.mean(dim=(1, 2, 3), keepdim=True)
        return cls(mean, _deviation(luminance), _deviation(_detail(luminance)))


def view_in(units: Units, pictures: ImageBatch) -> View:
    """Luminance and detail of pictures in given units: shape (b, 3, h, w) to (b, 2, h, w)."""
    luminance = luminance_of(pictures)
    return _stack(luminance, _detail(luminance), units)


def view_changed(units: Units, before: ImageBatch, after: ImageBatch) -> View:
    """Crops in the units that their whole pictures would have after the same change everywhere.

    Args:
        units: of the whole pictures before.
        before: crops of them, shape (b, 3, h, w).
        after: the same crops, changed; the gradient goes through the change of the units, too.

    Returns:
        Shape (b, 2, h, w).
    """
    old, new = luminance_of(before), luminance_of(after)
    old_detail, new_detail = _detail(old), _detail(new)
    changed = Units(
        units.mean + new.mean(dim=(1, 2, 3), keepdim=True) - old.mean(dim=(1, 2, 3), keepdim=True),
        units.deviation * _deviation(new) / _deviation(old),
        units.detail * _deviation(new_detail) / _deviation(old_detail),
    )
    return _stack(new, new_detail, changed)


def _stack(luminance: Luminance, detail: Luminance, units: Units) -> View:
    return torch.cat(((luminance - units.mean) / units.deviation, detail / units.detail), dim=1)


def _detail(luminance: Luminance) -> Luminance:
    margin = _BLUR_PX // 2
    padded = functional.pad(luminance, (margin,) * 4, mode="reflect")
    return luminance - functional.avg_pool2d(padded, _BLUR_PX, stride=1)


def _deviation(luminance: Luminance) -> _Figure:
    deviation = luminance.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return deviation.clamp(min=_LEAST_DEVIATION)
