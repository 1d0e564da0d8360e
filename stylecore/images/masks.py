"""Masks: gray pictures that say how far each pixel belongs, from black (not) to white (fully)."""

from __future__ import annotations

from stylecore.errors import MaskSizeError
from stylecore.images.codec import GrayImage, RgbImage, decoded, resample_gray, to_gray
from stylecore.images.limits import DecodeLimits


def decode_mask(
    data: bytes, uri: str, limits: DecodeLimits, size: tuple[int, int], what: str
) -> GrayImage:
    """Read a mask; colors count by their luminance, what is transparent as white.

    Args:
        data: the whole file.
        uri: where it came from; only for messages.
        limits: what to refuse before decoding.
        size: rows and columns of the picture that the mask is for.
        what: that picture is, such as ``"photograph"``; only for messages.

    Returns:
        Shape (h, w), 0 to 255.

    Raises:
        MaskSizeError: it is of another size than its picture, both held upright.
        RowError: as ``decode_image``.
    """
    with decoded(data, uri, limits) as mask:
        if mask.shape[:2] != size:
            (height, width, _), (rows, columns) = mask.shape, size
            sizes = f"the mask is {width} x {height} px and the {what} {columns} x {rows} px"
            raise MaskSizeError(uri, f"{sizes}: make them the same size")
        return to_gray(mask)


def resize_mask(mask: GrayImage, like: RgbImage) -> GrayImage:
    """``mask`` at the size of ``like``, by the filter that pictures are resized with."""
    height, width, _ = like.shape
    return mask if mask.shape == (height, width) else resample_gray(mask, width, height)
