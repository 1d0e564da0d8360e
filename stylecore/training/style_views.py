"""Styles to draw from while a decoder learns: parts of paintings, measured once.

A style is a few thousand numbers, so hundreds of them are measured before the first step, and a
step needs no pass of the encoder over a painting. Half of the parts have their three colors
exchanged at random: a decoder that has seen few paintings must not learn their palettes by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from stylecore.errors import RunStoppedError
from stylecore.generate.adain import ChannelStatistics, measure_channels, measure_pixels
from stylecore.generate.arbitrary import PIXELS, Style
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.augmentation import crop_randomly
from stylecore.types import FeatureMap, ImageBatch

STYLE_LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_LEAST_PART: Final = 0.5  # of a painting's shorter side, which is the side of the largest


def measure_layers(images: ImageBatch, features: Mapping[str, FeatureMap]) -> Style:
    """Statistics of pixels and of all style layers.

    Args:
        images: shape (b, 3, h, w).
        features: of the style layers, by name.
    """
    layers = {name: measure_channels(features[name]) for name in STYLE_LAYERS}
    return {PIXELS: measure_pixels(images), **layers}


def measure_images(encoder: Encoder, images: ImageBatch) -> Style:
    """The same of images on the encoder's device."""
    return measure_layers(images, encoder(images, STYLE_LAYERS))


@torch.no_grad()
def measure_views(
    encoder: Encoder,
    paintings: Sequence[RgbImage],
    photographs: Sequence[RgbImage],
    settings: TrainArbitrarySettings,
    random: torch.Generator,
    should_stop: Callable[[], bool],
) -> Style:
    """Statistics of ``settings.num_views`` random parts of paintings and photographs.

    Args:
        encoder: on the device.
        paintings: at least one, at the size of the strokes, each of shape (h, w, 3).
        photographs: at least one, likewise.
        settings: how many, and what share is of photographs.
        random: on the CPU.
        should_stop: asked before each of them; true ends the work.

    Returns:
        Paintings in turn, then photographs.

    Raises:
        RunStoppedError: ``should_stop`` was true.
    """
    num_photographs = round(settings.photograph_share * settings.num_views)
    shown = [paintings[n % len(paintings)] for n in range(settings.num_views - num_photographs)]
    chosen = torch.randint(len(photographs), (num_photographs,), generator=random).tolist()
    shown += [photographs[index] for index in chosen]
    each: list[Style] = []
    for pixels in shown:
        if should_stop():
            raise RunStoppedError("the training was asked to stop before its first step")
        part = _take_part(pixels, random).to(encoder.mean.device)
        each.append(measure_images(encoder, part))
    return _join(each)


def _join(each: Sequence[Style]) -> Style:
    return {
        name: ChannelStatistics(
            torch.cat([one[name].mean for one in each]),
            torch.cat([one[name].deviation for one in each]),
        )
        for name in each[0]
    }


def _take_part(pixels: RgbImage, random: torch.Generator) -> ImageBatch:
    """A random square of at least half the shorter side, half of the time in other colors."""
    share = _LEAST_PART + (1 - _LEAST_PART) * torch.rand((), generator=random).item()
    part = crop_randomly(to_batch([pixels]), max(1, round(share * min(pixels.shape[:2]))), random)
    is_recolored = torch.rand((), generator=random).item() < 1 / 2
    return part[:, torch.randperm(3, generator=random)] if is_recolored else part
