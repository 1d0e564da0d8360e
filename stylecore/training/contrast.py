"""What keeps a translated picture one of its photograph: PatchNCE (Park et al. 2020).

"Contrastive Learning for Unpaired Image-to-Image Translation", arXiv:2007.15651. A patch of the
picture should be more like the patch of the photograph at the same place than like the photograph's
other patches, to the eyes of the generator's own encoding half. Departure: the heads are a quarter
as wide as the paper's, since so is our network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from stylecore.generate.networks import Generator
from stylecore.refine.adversary import Scalar
from stylecore.types import FeatureMap, ImageBatch

TEMPERATURE: Final = 0.07
_HEAD_WIDTH: Final = 64
# Of the layers that are compared: pixels, what comes before the blocks, and the middle block.
_STRIDES_PX: Final = (1, 1, 2, 4, 4)

# Of several patches in each of several pictures, a vector of length 1.
Patches = Float[Tensor, "b n d"]
# The same places in every picture of a batch, by their number from left to right and downwards.
Places = Int[Tensor, " n"]


class Translator(nn.Module):
    """A generator of one style, and heads that look at its features while it learns.

    Args:
        width: of the generator.
        num_blocks: of the generator.
    """

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        self.generator = Generator(1, width, num_blocks)
        num_channels = (3, width, 2 * width, 4 * width, 4 * width)
        self.heads = nn.ModuleList(_make_head(num) for num in num_channels)

    def forward(self, photographs: ImageBatch) -> ImageBatch:
        """Translate photographs, shape (b, 3, h, w), in [0, 1]; as ``Generator.forward``."""
        pictures: ImageBatch = self.generator(photographs, _whole(photographs))
        return pictures

    def look(self, pictures: ImageBatch, places: Sequence[Places]) -> list[Patches]:
        """What the heads make of patches.

        Args:
            pictures: shape (b, 3, h, w), in [0, 1].
            places: for each layer that is compared, as from ``draw_places``.

        Returns:
            For each layer, vectors of length 1, shape (b, n, 64).
        """
        full, half, quarter, *rest = self.generator.encode(pictures, _whole(pictures))
        layers = (pictures - 0.5, full, half, quarter, [quarter, *rest][-1])
        return [
            functional.normalize(head(_take(features, there)), dim=-1)
            for head, features, there in zip(self.heads, layers, places, strict=True)
        ]


def draw_places(side_px: int, num_patches: int, random: torch.Generator) -> list[Places]:
    """Different places for each layer that is compared.

    Args:
        side_px: of the square pictures, a multiple of 4.
        num_patches: of a layer; fewer where it has no more.
        random: on the CPU.
    """
    counts = [(side_px // stride) ** 2 for stride in _STRIDES_PX]
    return [torch.randperm(count, generator=random)[:num_patches] for count in counts]


def patch_nce(queries: Patches, keys: Patches) -> Scalar:
    """How badly patches are told apart: the cross entropy of finding each one's own place.

    Args:
        queries: of the pictures, with their gradient.
        keys: of the photographs, at the same places, without one.

    Returns:
        Mean over patches and pictures; the logarithm of their number is what guessing gets.
    """
    likeness = queries @ keys.mT / TEMPERATURE
    own = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
    return functional.cross_entropy(likeness.flatten(end_dim=1), own.flatten())


def _make_head(num_in: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(num_in, _HEAD_WIDTH), nn.ReLU(), nn.Linear(_HEAD_WIDTH, _HEAD_WIDTH)
    )


def _take(features: FeatureMap, places: Places) -> Float[Tensor, "b n c"]:
    return features.flatten(start_dim=2)[..., places].mT


def _whole(pictures: ImageBatch) -> Float[Tensor, "b 1"]:
    return pictures.new_ones(len(pictures), 1)
