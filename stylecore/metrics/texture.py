"""How far the texture of a picture is from that of paintings, by statistics nobody optimized.

A picture that the optimizer made sits in a minimum of VGG's statistics, so these say little about
it. Two others do, both on standardized luminance (zero mean, unit variance for each picture), for
matching the palette alone would halve them on colors:

* fdRL: Fréchet distance between Gaussian fits of the features of a fixed random network.
* swdL: sliced Wasserstein distance between 7 x 7 patches of Laplacian levels (Karras et al. 2018,
  "Progressive Growing of GANs", arXiv:1710.10196). Departures: one channel; no low-pass level,
  which would compare compositions; each level in units of the painting's own spread.

Both are means over the levels of a pyramid: pixels, halves, quarters, eighths, as far as a level
has 16 px. They are without unit, and compare pictures of one size with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stylecore.images.color import Luminance, luminance_of
from stylecore.images.tensors import MINIMUM_SIDE_PX, pad_to_minimum
from stylecore.metrics.frechet import Gaussian, Moments, MomentSum, average_moments
from stylecore.types import ImageBatch

_MAX_LEVELS: Final = 4
_LEAST_DEVIATION: Final = 1 / 255  # the rounding of a flat picture is no texture
_PATCH_PX: Final = 7
_MAX_PATCHES: Final = 8192  # of a level
_NUM_PROJECTIONS: Final = 128
_NUM_QUANTILES: Final = 1024
_NUM_FILTERS: Final = 32
_NUM_FEATURES: Final = 64
_BAND_PIXELS: Final = 2**18  # of a level at once, so that large pictures take little memory


class _RandomNetwork:
    """Two valid convolutions of seeded random weights with a rectifier behind each.

    The filters of the first have zero mean: brightness is no texture.
    """

    reach_px: Final = 7

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        first = torch.randn(_NUM_FILTERS, 1, 5, 5, generator=generator)
        first -= first.mean(dim=(2, 3), keepdim=True)
        second = torch.randn(_NUM_FEATURES, _NUM_FILTERS, 3, 3, generator=generator)
        self.first = (first / 5).to(device)
        self.second = (second / (3 * _NUM_FILTERS**0.5)).to(device)

    def moments(self, level: Luminance) -> Moments:
        """Moments over all positions, band by band."""
        height, width = level.shape[-2:]
        num_rows = max(1, _BAND_PIXELS // width)
        overlap = self.reach_px - 1
        found = MomentSum(_NUM_FEATURES)
        for top in range(0, height - overlap, num_rows):
            found.add(self._features(level[..., top : top + num_rows + overlap, :]))
        return found.moments()

    def _features(self, band: Luminance) -> Float[Tensor, "c n"]:
        filtered = functional.conv2d(band, self.first).abs_()
        return functional.conv2d(filtered, self.second).relu_()[0].flatten(start_dim=1)


class _PatchSlices:
    """Quantiles of patches along seeded random directions."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        directions = torch.randn(_NUM_PROJECTIONS, _PATCH_PX**2, generator=generator)
        self.directions = functional.normalize(directions, dim=1).to(device)
        self.seed = int(torch.randint(2**31, (1,), generator=generator))

    def quantiles(self, level: Luminance) -> Float[Tensor, "p q"]:
        """Of each direction, values at equally spaced shares of the patches."""
        ordered = (self.directions @ self._sample_patches(level)).sort(dim=1).values
        spaced: Tensor = functional.interpolate(ordered[None], _NUM_QUANTILES, mode="linear")
        return spaced[0]

    def _sample_patches(self, level: Luminance) -> Float[Tensor, "k n"]:
        """Patches at places that depend on the seed and on the level's size alone."""
        height, width = level.shape[-2:]
        rows, columns = height - _PATCH_PX + 1, width - _PATCH_PX + 1
        # On the CPU, so that every device looks at the same places.
        generator = torch.Generator().manual_seed(self.seed)
        if rows * columns > _MAX_PATCHES:
            places = torch.randint(rows * columns, (_MAX_PATCHES,), generator=generator)
        else:
            places = torch.arange(rows * columns)
        steps = torch.arange(_PATCH_PX)
        corners = (places // columns) * width + places % columns
        offsets = (steps[:, None] * width + steps).flatten()
        pixels = (offsets[:, None] + corners).to(level.device)
        return level.flatten()[pixels]


class TextureMeasures:
    """Distances of the texture of pictures from that of paintings; lower is better.

    What is known of the paintings is computed once, here. Networks, directions and places are
    drawn by the seed, on the CPU: they are the same on every device.

    Args:
        paintings: at least one, each of shape (1, 3, h, w) in [0, 1], at the size of the strokes
            to compare with: as a rule scaled to the longest side of the pictures. Each counts
            alike, whatever its size.
        seed: another one draws other networks, directions and places.
    """

    def __init__(self, paintings: Sequence[ImageBatch], seed: int = 0) -> None:
        device = paintings[0].device
        generator = torch.Generator().manual_seed(seed)
        self._network = _RandomNetwork(generator, device)
        self._slices = _PatchSlices(generator, device)
        with torch.inference_mode():
            pyramids = [_build_pyramid(painting) for painting in paintings]
            # As many levels as every painting has.
            levels = list(zip(*pyramids, strict=False))
            self._gaussians = [self._fit_gaussian(level) for level in levels]
            self._quantiles = [self._mean_quantiles(level) for level in levels]

    @torch.inference_mode()
    def fdrl(self, picture: ImageBatch) -> float:
        """Fréchet distance on a random network, luminance: 0 is the paintings' own statistics.

        Args:
            picture: shape (1, 3, h, w), in [0, 1], on the paintings' device.
        """
        levels = _build_pyramid(picture)
        pairs = zip(self._gaussians, levels, strict=False)
        return _mean([fit.distance(self._network.moments(level.whole)) for fit, level in pairs])

    @torch.inference_mode()
    def swdl(self, picture: ImageBatch) -> float:
        """Sliced Wasserstein distance of patches, luminance: 0 is the paintings' own patches.

        Args:
            picture: shape (1, 3, h, w), in [0, 1], on the paintings' device.
        """
        distances: list[float] = []
        for expected, level in zip(self._quantiles, _build_pyramid(picture), strict=False):
            apart = (self._slices.quantiles(level.detail) - expected).abs().mean()
            spread = expected.square().mean().sqrt().clamp(min=_LEAST_DEVIATION)
            distances.append((apart / spread).item())
        return _mean(distances)

    def _fit_gaussian(self, levels: Sequence[_Level]) -> Gaussian:
        parts = [self._network.moments(level.whole) for level in levels]
        return Gaussian.fit(average_moments(parts))

    def _mean_quantiles(self, levels: Sequence[_Level]) -> Float[Tensor, "p q"]:
        """Quantiles of the patches of all paintings together, each of equal weight."""
        each = torch.cat([self._slices.quantiles(level.detail) for level in levels], dim=1)
        ordered = each.sort(dim=1).values
        spaced: Tensor = functional.interpolate(ordered[None], _NUM_QUANTILES, mode="linear")
        return spaced[0]


@dataclass(frozen=True, eq=False)
class _Level:
    """One scale of a picture: all of it, and what a blur takes away."""

    whole: Luminance
    detail: Luminance


def _build_pyramid(picture: ImageBatch) -> list[_Level]:
    """Levels of standardized luminance, the finest first; at least one."""
    whole = _standardize(luminance_of(pad_to_minimum(picture.float())))
    levels: list[_Level] = []
    while len(levels) < _MAX_LEVELS and min(whole.shape[-2:]) >= MINIMUM_SIDE_PX:
        smooth = _blur(whole)
        levels.append(_Level(whole, whole - smooth))
        whole = smooth[..., ::2, ::2]
    return levels


def _standardize(luminance: Luminance) -> Luminance:
    mean = luminance.mean(dim=(2, 3), keepdim=True)
    deviation = luminance.std(dim=(2, 3), keepdim=True, correction=0)
    return (luminance - mean) / deviation.clamp(min=_LEAST_DEVIATION)


def _blur(level: Luminance) -> Luminance:
    """The binomial filter of five taps (Burt and Adelson 1983), each side by itself."""
    taps = level.new_tensor([1, 4, 6, 4, 1]) / 16
    rows = functional.conv2d(
        functional.pad(level, (0, 0, 2, 2), mode="reflect"), taps.view(1, 1, 5, 1)
    )
    return functional.conv2d(
        functional.pad(rows, (2, 2, 0, 0), mode="reflect"), taps.view(1, 1, 1, 5)
    )


def _mean(distances: Sequence[float]) -> float:
    return sum(distances) / len(distances)
