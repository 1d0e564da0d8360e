"""How good a set of pictures in one style is: FD-VGG, and ArtFD, a product in the manner of ArtFID.

FD-VGG is the Fréchet distance between the set and its paintings on features of VGG-16. It is not
the FID: that compares tens of thousands of pictures by one Inception feature each, and a set of
stylized pictures has fewer than features, and one painting. So every position of relu3_3 counts
(256 features, one for every 4 x 4 pixels, each seeing 40 px), which describes texture rather than
composition. relu3_3 is none of the layers whose Gram matrices the optimizer matches by default,
yet close to them: fdRL and swdL are the more independent judges. Each picture counts alike, and the
paintings are taken at each picture's size.

ArtFD is (1 + mean LPIPS to the photographs) x (1 + FD-VGG): low only where content and style are
both kept, as ArtFID is (Wright and Ommer 2022, arXiv:2207.12280), of whose networks it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from stylecore.images.tensors import pad_to_minimum
from stylecore.images.tiling import drop_halo, plan_tiles, take_tile
from stylecore.metrics.bootstrap import LEVEL, Estimate
from stylecore.metrics.frechet import Gaussian, Moments, MomentSum, average_moments
from stylecore.perception.encoder import Encoder
from stylecore.types import ImageBatch

SET_LAYER: Final = "relu3_3"
_STRIDE_PX: Final = 4
_HALO_PX: Final = 32  # relu3_3 sees 20 px around a cell
_CORE_PX: Final = 512
_NUM_RESAMPLES: Final = 100
_MOMENTS: Final = ("pictures", "paintings")
_Values = NDArray[np.float64]


class SetFeatures:
    """Moments of a picture's VGG-16 features, tile by tile.

    Args:
        encoder: VGG-16 with its default weights and max pooling, on the device to work on.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        stage = encoder.stages[SET_LAYER]
        self._num_features = len(next(stage.parameters()))

    @torch.inference_mode()
    def moments(self, picture: ImageBatch) -> Moments:
        """Of all positions of relu3_3.

        Args:
            picture: shape (1, 3, h, w), in [0, 1], on the encoder's device.
        """
        picture = pad_to_minimum(picture)
        height, width = picture.shape[-2:]
        found = MomentSum(self._num_features)
        for tile in plan_tiles(height, width, _CORE_PX, _HALO_PX):
            features = self._encoder(take_tile(picture, tile), [SET_LAYER])[SET_LAYER]
            found.add(drop_halo(features, tile, _STRIDE_PX)[0].flatten(start_dim=1))
        return found.moments()


@dataclass(frozen=True, eq=False)
class SetPart:
    """What is kept of some pictures of a set: their means, each picture of equal weight.

    Attributes:
        count: of the pictures.
        lpips: mean LPIPS to the photographs; NaN where it is not known of all of them.
        pictures: moments of the pictures.
        paintings: moments of the paintings, at each picture's size.
    """

    count: int
    lpips: float
    pictures: Moments
    paintings: Moments


@dataclass(frozen=True)
class SetScores:
    """FD-VGG and ArtFD of a set, with intervals by resampling its parts; None where not defined."""

    pictures: int
    fd_vgg: Estimate
    art_fd: Estimate | None


def score_set(parts: Sequence[SetPart], seed: int = 0) -> SetScores:
    """Scores of a set of pictures in one style.

    Args:
        parts: at least one; the interval takes them as the units that were drawn, so that they
            should be single pictures where there are few. A single part has no interval.
        seed: of the resampling.
    """
    reference = Gaussian.fit(_merge(parts).paintings)
    whole = _distances(reference, _merge(parts))
    drawn = np.empty((_NUM_RESAMPLES if len(parts) > 1 else 0, 2))
    generator = np.random.default_rng(seed)
    for row in drawn:
        chosen = generator.integers(len(parts), size=len(parts))
        row[:] = _distances(reference, _merge([parts[index] for index in chosen]))
    fd_vgg, art_fd = (
        _estimate(value, column) for value, column in zip(whole, drawn.T, strict=True)
    )
    is_known = np.isfinite(whole[1])
    return SetScores(sum(part.count for part in parts), fd_vgg, art_fd if is_known else None)


def _distances(reference: Gaussian, part: SetPart) -> tuple[float, float]:
    distance = reference.distance(part.pictures)
    return distance, (1 + part.lpips) * (1 + distance)


def _estimate(value: float, drawn: _Values) -> Estimate:
    if not len(drawn):
        return Estimate(value, None, None)
    # A set drawn from a set repeats pictures, so that its distance is larger: only the spread of
    # what was drawn is kept, not its place.
    low, high = np.quantile(drawn - np.median(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, max(0.0, value + float(low)), value + float(high))


def _merge(parts: Sequence[SetPart]) -> SetPart:
    """Several parts as one, each by its number of pictures."""
    shares = np.array([part.count for part in parts], float)
    return SetPart(
        count=int(shares.sum()),
        lpips=float(np.average([part.lpips for part in parts], weights=shares)),
        pictures=_weighted([part.pictures for part in parts], shares),
        paintings=_weighted([part.paintings for part in parts], shares),
    )


def _weighted(moments: Sequence[Moments], shares: _Values) -> Moments:
    weights = torch.from_numpy(shares / shares.sum())
    return Moments(
        torch.einsum("p,pc->c", weights, torch.stack([part.mean for part in moments])),
        torch.einsum("p,pcd->cd", weights, torch.stack([part.product for part in moments])),
    )


def join_pictures(pictures: Sequence[tuple[Moments, Moments, float | None]]) -> SetPart:
    """A part of a set from its pictures.

    Args:
        pictures: at least one: moments of the picture, of the paintings at its size, and LPIPS.
    """
    lpips = [np.nan if distance is None else distance for _, _, distance in pictures]
    return SetPart(
        count=len(pictures),
        lpips=float(np.mean(lpips)),
        pictures=average_moments([picture for picture, _, _ in pictures]),
        paintings=average_moments([paintings for _, paintings, _ in pictures]),
    )


def encode_parts(parts: Sequence[SetPart]) -> bytes:
    """Parts of a set as a safetensors file, in single precision."""
    empty = torch.zeros(0)
    tensors = {
        "count": torch.tensor([part.count for part in parts]),
        "lpips": torch.tensor([part.lpips for part in parts], dtype=torch.float64),
    }
    for name in _MOMENTS:
        each: list[Moments] = [getattr(part, name) for part in parts]
        for field in ("mean", "product"):
            stacked = [getattr(moments, field).float() for moments in each]
            tensors[f"{name}.{field}"] = torch.stack(stacked) if stacked else empty
    return save(tensors)


def decode_parts(data: bytes) -> list[SetPart]:
    """The parts that ``encode_parts`` was given."""
    tensors = load(data)
    parts = []
    for index, count in enumerate(tensors["count"].tolist()):
        moments = [
            Moments(*(tensors[f"{name}.{field}"][index].double() for field in ("mean", "product")))
            for name in _MOMENTS
        ]
        parts.append(SetPart(count, tensors["lpips"][index].item(), *moments))
    return parts
