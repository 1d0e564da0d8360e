"""Pillow's modes of pixels, as far as we read them."""

from __future__ import annotations

from typing import Final

# What is left of each mode once alpha is taken off: the mode its color profile must be for.
BASE_MODES: Final[dict[str, str]] = {
    "1": "L",
    "L": "L",
    "LA": "L",
    "I;16": "L",
    "I;16B": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGB": "RGB",
    "RGBA": "RGB",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "CMYK": "CMYK",
}

# Samples of 2 and 4 bits become 8 bits by these factors.
LOW_BIT_FACTORS: Final[dict[object, int]] = {"L;2": 85, "L;4": 17}
