"""Leave out of the training pictures what would teach nothing, or the same thing twice.

The perceptual hash is our own: the library for it (ImageHash) wants pictures of Pillow's, which
only the codec knows, and brings a wavelet library along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import UInt64

from stylecore.errors import RowError
from stylecore.images.codec import RgbImage, decode_image, resample
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content

DropReason = Literal["broken", "tiny", "extreme-aspect", "blank", "duplicate"]

_LEAST_SIDE_PX: Final = 64
_LARGEST_ASPECT: Final = 3.0
_LEAST_DEVIATION: Final = 4.0  # of 256 levels, in gray
_HASH_PX: Final = 8
_SAME_BITS: Final = 10  # of 128 may differ between copies of one picture

PictureHash = UInt64[np.ndarray, "2"]


@dataclass(frozen=True, eq=False)
class NamedPicture:
    """A picture that is fit to train on, of shape (h, w, 3)."""

    name: str
    pixels: RgbImage


@dataclass(frozen=True)
class Dropped:
    """A picture that is not fit.

    Attributes:
        name: of the file.
        reason: the class that counts.
        detail: in words, for people.
    """

    name: str
    reason: DropReason
    detail: str


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What is left, and what was dropped and why, both in the order of the files."""

    kept: list[NamedPicture] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def count_by_reason(self) -> dict[DropReason, int]:
        """Number dropped for every reason, also where it is 0."""
        reasons = [one.reason for one in self.dropped]
        return {reason: reasons.count(reason) for reason in get_args(DropReason)}


def clean_pictures(
    files: Iterable[tuple[str, bytes]], limits: DecodeLimits, max_side_px: int | None = None
) -> Cleaning:
    """Decode pictures and keep those that are whole, large enough, of use, and not seen before.

    Args:
        files: name and bytes of each; of copies, the first is kept.
        limits: what to refuse before decoding.
        max_side_px: pictures that are kept are made no larger, for memory's sake; None leaves them
            as they are.

    Returns:
        Every file once, either kept or dropped.
    """
    cleaning = Cleaning()
    hashes: list[PictureHash] = []
    for name, data in files:
        try:
            pixels = decode_image(data, name, limits)
        except RowError as error:
            cleaning.dropped.append(Dropped(name, "broken", error.reason))
            continue
        flaw = _find_flaw(name, pixels) or _find_copy(name, pixels, cleaning.kept, hashes)
        if flaw is None:
            small = pixels if max_side_px is None else resize_content(pixels, max_side_px)
            cleaning.kept.append(NamedPicture(name, small))
            hashes.append(hash_picture(pixels))
        else:
            cleaning.dropped.append(flaw)
    return cleaning


def hash_picture(pixels: RgbImage) -> PictureHash:
    """Signs of the differences of neighboring pixels in an 8 x 8 thumbnail, across and down.

    The difference hash of N. Krawetz ("Kind of Like That", 2013), in both directions. It changes
    little with size, compression and brightness.

    Args:
        pixels: shape (h, w, 3).

    Returns:
        64 bits across, 64 bits down.
    """
    gray = resample(pixels, _HASH_PX + 1, _HASH_PX + 1).astype(np.int64).sum(axis=2)
    across = gray[:-1, 1:] > gray[:-1, :-1]
    down = gray[1:, :-1] > gray[:-1, :-1]
    bits = np.stack((across.flatten(), down.flatten()))
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _find_flaw(name: str, pixels: RgbImage) -> Dropped | None:
    height, width, _ = pixels.shape
    size = f"{width} x {height} px"
    if min(height, width) < _LEAST_SIDE_PX:
        return Dropped(name, "tiny", f"{size}, a side under {_LEAST_SIDE_PX} px")
    if max(height, width) > _LARGEST_ASPECT * min(height, width):
        return Dropped(name, "extreme-aspect", f"{size}, longer than {_LARGEST_ASPECT:g} to 1")
    deviation = float(pixels.mean(axis=2).std())
    if deviation < _LEAST_DEVIATION:
        return Dropped(name, "blank", f"its gray levels deviate by {deviation:.1f} of 255 only")
    return None


def _find_copy(
    name: str, pixels: RgbImage, kept: list[NamedPicture], hashes: list[PictureHash]
) -> Dropped | None:
    if not hashes:
        return None
    differing = np.bitwise_count(np.stack(hashes) ^ hash_picture(pixels)).sum(axis=1)
    nearest = int(differing.argmin())
    if differing[nearest] > _SAME_BITS:
        return None
    return Dropped(name, "duplicate", f"looks like {kept[nearest].name}")
