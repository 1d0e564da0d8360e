"""One pass through a network: what each kind of generator needs to know of the style before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from stylecore.errors import JobError
from stylecore.generate.arbitrary import FEATURES, ArbitraryGenerator
from stylecore.generate.loading import ArbitraryNetwork, TrainedNetwork
from stylecore.generate.networks import StyleShares
from stylecore.images.resize import resize_style
from stylecore.images.tensors import crop, pad_to_minimum, to_batch
from stylecore.stylizer.networks import default_vgg16
from stylecore.stylizer.protocol import StylePainting
from stylecore.types import ImageBatch


class OnePass(Protocol):
    """A network on its device, ready for one style."""

    def __call__(self, photographs: ImageBatch) -> ImageBatch:
        """Pictures in [0, 1] of photographs on the same device, each of shape (b, 3, h, w)."""


class TrainedPass:
    """Through a generator that was trained for the style.

    Args:
        network: from ``load_network``.
        shares: of each of its styles.
        device: where to compute.
    """

    def __init__(self, network: TrainedNetwork, shares: StyleShares, device: torch.device) -> None:
        self._generator = network.generator.to(device).to(memory_format=torch.channels_last)
        self._shares = shares.to(device)

    def __call__(self, photographs: ImageBatch) -> ImageBatch:
        """As ``OnePass``; sides of less than 16 px are extended for the network."""
        there = pad_to_minimum(photographs)
        pictures = self._generator(there, self._shares.expand(len(photographs), -1))
        return crop(pictures, *photographs.shape[-2:])


class ArbitraryPass:
    """Through a generator that takes any painting.

    The paintings are measured once, at the size that strokes have in a picture of ``max_side_px``:
    smaller pictures are parts of such a picture rather than reductions of it.

    Args:
        network: from ``load_network``.
        styles: at least one, mixed by their weights.
        max_side_px: longest side of the job's pictures.
        strength: of the style, in [0, 1].
        device: where to compute.

    Raises:
        JobError: there is no painting, or the network was trained with another encoder.
    """

    def __init__(
        self,
        network: ArbitraryNetwork,
        styles: Sequence[StylePainting],
        max_side_px: int,
        strength: float,
        device: torch.device,
    ) -> None:
        if not styles:
            raise JobError(
                "there is no style: this generator takes any painting; name at least one"
            )
        decoder = network.decoder.to(device).to(memory_format=torch.channels_last)
        self._generator = ArbitraryGenerator(default_vgg16(device), decoder)
        self._strength = strength
        scaled = [resize_style(style.pixels, max_side_px) for style in styles]
        with torch.inference_mode():
            self._style = self._generator.measure(
                [to_batch([one]).to(device, memory_format=torch.channels_last) for one in scaled],
                [style.weight for style in styles],
            )
        found, wanted = self._style[FEATURES].mean.shape[1], network.card.num_features
        if found != wanted:
            raise JobError(
                f"generator: draws from {wanted} channels, and the encoder has {found}: it was "
                "trained with another one"
            )

    def __call__(self, photographs: ImageBatch) -> ImageBatch:
        """As ``OnePass``."""
        pictures: ImageBatch = self._generator(photographs, self._style, self._strength)
        return pictures
