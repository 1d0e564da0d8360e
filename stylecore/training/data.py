"""What networks are trained on, as it arrives: 8-bit pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np
import torch

from stylecore.errors import JobError
from stylecore.images.codec import GrayImage, RgbImage
from stylecore.images.resize import resize_style
from stylecore.images.tensors import MINIMUM_SIDE_PX, pad_to_minimum, to_batch
from stylecore.training.augmentation import Pair
from stylecore.types import ImageBatch


@dataclass(frozen=True, eq=False)
class PicturePair:
    """A stylized picture and its photograph at the same size.

    Attributes:
        name: for messages.
        stylized: shape (h, w, 3).
        content: same shape.
    """

    name: str
    stylized: RgbImage
    content: RgbImage


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a refiner learns from.

    Attributes:
        pairs: at least one, each side at least 16 px.
        paintings: at least one, of any size; they are scaled to the pictures' longest side.
        license: what paintings and pictures allow, for the card.
        style_scale: the paintings' longest side over the pictures', as the strokes were made.
        masks: of the paintings, as for ``scale_painting``; none: all of each counts.
    """

    pairs: Sequence[PicturePair]
    paintings: Sequence[RgbImage]
    license: str = ""
    style_scale: float = 1.0
    masks: Sequence[GrayImage | None] = ()

    def check(self) -> None:
        """Refuse what cannot be trained on.

        Raises:
            JobError: there are no pairs or paintings, or a pair has two sizes or is too small.
        """
        if not self.pairs or not self.paintings:
            what = "painting" if self.pairs else "stylized picture"
            raise JobError(f"nothing to train a refiner on: name at least one {what}")
        for pair in self.pairs:
            height, width, _ = pair.stylized.shape
            if pair.content.shape != pair.stylized.shape:
                raise JobError(
                    f"{pair.name}: the stylized picture is {width} x {height} px and its "
                    f"photograph {pair.content.shape[1]} x {pair.content.shape[0]} px: resize "
                    "the photograph as it was for the picture"
                )
            if min(height, width) < MINIMUM_SIDE_PX:
                raise JobError(
                    f"{pair.name}: {width} x {height} px is too small to train on: leave out "
                    f"pictures with a side under {MINIMUM_SIDE_PX} px"
                )

    def split(self, share: float, seed: int) -> tuple[list[PicturePair], list[PicturePair]]:
        """Pairs to train on, and pairs to choose the best weights on.

        Args:
            share: of pairs to choose on: at least one, if it is not 0 and there are two.
            seed: of the draw.

        Returns:
            Two lists without a pair in common; both are the same where one would be empty.
        """
        num_held = max(1, round(share * len(self.pairs))) if share > 0 else 0
        order = torch.randperm(len(self.pairs), generator=torch.Generator().manual_seed(seed))
        held = {*order[: min(num_held, len(self.pairs) - 1)].tolist()}
        train = [pair for index, pair in enumerate(self.pairs) if index not in held]
        return train, [self.pairs[index] for index in sorted(held)] or train

    def scaled_paintings(self) -> list[ImageBatch]:
        """What counts of the paintings, at the size of the strokes.

        That goes by the longest side of the pictures: the median one, where they differ.
        """
        picture_px = median_low(max(pair.stylized.shape) for pair in self.pairs)
        longest_px = max(1, round(picture_px * self.style_scale))
        masks = self.masks or [None] * len(self.paintings)
        return [
            scale_painting(painting, longest_px, mask)
            for painting, mask in zip(self.paintings, masks, strict=True)
        ]


def scale_painting(
    painting: RgbImage, longest_px: int, mask: GrayImage | None = None
) -> ImageBatch:
    """What counts of a painting, as measures and training take it.

    With a mask it is the bounding box of the mask's white part, at the scale of the whole painting,
    so that strokes keep their size. What is black within the box counts too: patches and windows
    are rectangles.

    Args:
        painting: shape (h, w, 3), of any size.
        longest_px: longest side of the whole painting after scaling.
        mask: shape (h, w); white is what is at least half as light as its lightest pixel.

    Returns:
        Shape (1, 3, k, l), in [0, 1], its edges repeated where a side is under 16 px.
    """
    part = painting if mask is None else painting[_bounding_box(mask)]
    part_px = round(longest_px * max(part.shape[:2]) / max(painting.shape[:2]))
    return pad_to_minimum(to_batch([resize_style(part, max(1, part_px))]))


def _bounding_box(mask: GrayImage) -> tuple[slice, slice]:
    is_white = mask >= mask.max() / 2
    rows, columns = (np.flatnonzero(is_white.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def to_pair(pictures: PicturePair, device: torch.device) -> Pair:
    """Floats in [0, 1] on a device."""
    return Pair(to_batch([pictures.stylized]).to(device), to_batch([pictures.content]).to(device))


def hold_out(
    pictures: Sequence[RgbImage], num_held: int, seed: int
) -> tuple[list[RgbImage], list[RgbImage]]:
    """Pictures to train on, and pictures to choose the best weights on.

    Args:
        pictures: at least one.
        num_held: how many to choose on; one is always trained on.
        seed: of the draw.

    Returns:
        Two lists without one in common; both are the same where one would be empty.
    """
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    held = {*order[: min(num_held, len(pictures) - 1)].tolist()}
    train = [one for index, one in enumerate(pictures) if index not in held]
    return train, [pictures[index] for index in sorted(held)] or train


def check_sizes(what: str, pictures: Sequence[RgbImage]) -> None:
    """Refuse pictures that are too small for the networks.

    Args:
        what: they are, for the message.
        pictures: each of shape (h, w, 3).

    Raises:
        JobError: a side is under 16 px.
    """
    for height, width, _ in (picture.shape for picture in pictures):
        if min(height, width) < MINIMUM_SIDE_PX:
            raise JobError(
                f"a {what} of {width} x {height} px is too small to train on: leave out those "
                f"with a side under {MINIMUM_SIDE_PX} px"
            )


def digest_each(pictures: Sequence[RgbImage]) -> str:
    """SHA-256 over the digests of pictures, in hexadecimal."""
    each = [digest_pictures(picture) for picture in pictures]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def digest_pictures(*pictures: RgbImage) -> str:
    """SHA-256 over the sizes and pixels of pictures, in hexadecimal."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(repr(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()
