"""Sizes of pictures: by the longest side, keeping the aspect."""

from __future__ import annotations

from stylecore.images.codec import RgbImage, resample


def fit_longest_side(width: int, height: int, longest_side_px: int) -> tuple[int, int]:
    """Width and height whose longer one is ``longest_side_px``; neither is ever 0."""
    factor = longest_side_px / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def resize_content(image: RgbImage, max_side_px: int) -> RgbImage:
    """``image`` with no side longer than ``max_side_px``; a smaller one is returned as it is."""
    height, width, _ = image.shape
    if max(width, height) <= max_side_px:
        return image
    return resample(image, *fit_longest_side(width, height, max_side_px))


def resize_style(image: RgbImage, longest_side_px: int) -> RgbImage:
    """``image`` with a longest side of ``longest_side_px``: a smaller one is enlarged.

    The statistics of a painting are those of its strokes at the size of the output.
    """
    height, width, _ = image.shape
    if max(width, height) == longest_side_px:
        return image
    return resample(image, *fit_longest_side(width, height, longest_side_px))
