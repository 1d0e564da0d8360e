"""Crops, flips, scales and colors: more pictures out of few, the same for both of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from stylecore.types import ImageBatch

# Flips are of left and right only, and scales near one: strokes hang and have a size.
_LEAST_SCALE: Final = 0.9
_LARGEST_SCALE: Final = 1.1


@dataclass(frozen=True)
class Pair:
    """A stylized picture and its photograph, each of shape (1, 3, h, w), in [0, 1]."""

    stylized: ImageBatch
    content: ImageBatch


def crop_pair(pair: Pair, side_px: int, random: torch.Generator) -> Pair:
    """The same random window of both, flipped alike, at the same random scale.

    Args:
        pair: at least 16 px each side.
        side_px: of the window; a side that is shorter is repeated by reflection.
        random: on the CPU.

    Returns:
        Both of shape (1, 3, side_px, side_px).
    """
    stacked = torch.cat((pair.stylized, pair.content), dim=1)
    window = crop_randomly(_scale(stacked, side_px, random), side_px, random)
    return Pair(window[:, :3], window[:, 3:])


def crop_randomly(picture: Tensor, side_px: int, random: torch.Generator) -> Tensor:
    """A random square of a picture of any number of channels, flipped half of the time."""
    picture = _extend(picture, side_px)
    height, width = picture.shape[-2:]
    top = _draw(height - side_px + 1, random)
    left = _draw(width - side_px + 1, random)
    window = picture[..., top : top + side_px, left : left + side_px]
    return window.flip(-1) if _draw(2, random) else window


def jitter_color(pair: Pair, strength: float, random: torch.Generator) -> Pair:
    """Both with the same gain and offset for each channel, clamped to [0, 1].

    Args:
        pair: in [0, 1].
        strength: deviation of gains from 1; offsets are half as large.
        random: on the CPU.
    """
    gain, offset = torch.randn(2, 1, 3, 1, 1, generator=random).to(pair.stylized.device)
    gain, offset = 1 + strength * gain, strength / 2 * offset

    def change(picture: ImageBatch) -> ImageBatch:
        jittered: Tensor = (picture - 0.5) * gain + 0.5 + offset
        return jittered.clamp(0, 1)

    return Pair(change(pair.stylized), change(pair.content))


def _scale(picture: Tensor, side_px: int, random: torch.Generator) -> Tensor:
    share = torch.rand((), generator=random).item()
    factor = _LEAST_SCALE + (_LARGEST_SCALE - _LEAST_SCALE) * share
    if _draw(2, random) == 0:  # half are left as sharp as they are
        return picture
    size = [max(16, round(side * factor)) for side in picture.shape[-2:]]
    scaled: Tensor = functional.interpolate(picture, size=size, mode="bicubic", antialias=True)
    return scaled.clamp(0, 1)


def _extend(picture: Tensor, side_px: int) -> Tensor:
    """Reflect the lower and right edge until no side is shorter; again where that is not enough."""
    while min(picture.shape[-2:]) < side_px:
        below, right = (min(side - 1, max(0, side_px - side)) for side in picture.shape[-2:])
        picture = functional.pad(picture, (0, right, 0, below), mode="reflect")
    return picture


def _draw(num: int, random: torch.Generator) -> int:
    return int(torch.randint(num, (1,), generator=random))
