"""LPIPS by tiles, for pictures whose activations do not fit in memory."""

from __future__ import annotations

from typing import Final

from lpips import normalize_tensor
from torch import Tensor, nn

from stylecore.images.tiling import Tile, drop_halo, plan_tiles, take_tile
from stylecore.types import ImageBatch, PerImage

_STRIDES: Final = (1, 2, 4, 8, 16)  # of the layers compared: the last of each block of VGG-16
_HALO_PX: Final = 96  # the last of them, relu5_3, sees 90 px around a cell


class TiledLpips(nn.Module):
    """What an LPIPS module computes, but for rounding, in the memory of one tile.

    Args:
        distance: from ``build_lpips``; shared, not copied.
        core_px: longest side of what a tile is responsible for; a multiple of 16.
    """

    def __init__(self, distance: nn.Module, core_px: int) -> None:
        super().__init__()
        self.distance = distance
        self.core_px = core_px

    def forward(self, first: ImageBatch, second: ImageBatch, normalize: bool = False) -> Tensor:
        """Distance of each picture from its counterpart.

        Args:
            first: shape (b, 3, h, w), sides of at least 16 px.
            second: same shape.
            normalize: whether pixels are in [0, 1]; else in [-1, 1].

        Returns:
            Shape (b, 1, 1, 1), as that of the module.
        """
        if normalize:
            first, second = 2 * first - 1, 2 * second - 1
        height, width = first.shape[-2:]
        total = first.new_zeros(len(first))
        for tile in plan_tiles(height, width, self.core_px, _HALO_PX):
            sums = self._sum_cores(take_tile(first, tile), take_tile(second, tile), tile)
            for stride, cells in zip(_STRIDES, sums, strict=True):
                total = total + cells / ((height // stride) * (width // stride))
        return total.view(-1, 1, 1, 1)

    def _sum_cores(self, first: ImageBatch, second: ImageBatch, tile: Tile) -> list[PerImage]:
        """For each layer, the distances of all cells of the core."""
        trunk, scale = (self.distance.get_submodule(name) for name in ("net", "scaling_layer"))
        heads = self.distance.get_submodule("lins").children()
        pairs = zip(trunk(scale(first)), trunk(scale(second)), strict=True)
        sums: list[PerImage] = []
        for stride, head, (one, other) in zip(_STRIDES, heads, pairs, strict=True):
            cells = head((normalize_tensor(one) - normalize_tensor(other)).square())
            sums.append(drop_halo(cells, tile, stride).sum(dim=(1, 2, 3)))
        return sums
