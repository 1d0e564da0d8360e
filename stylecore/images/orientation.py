"""The eight ways in which a camera may have been held."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import UInt8

# EXIF 2.3, tag 0x0112: (exchange rows and columns first, step along rows, step along columns)
_TURNS: Final[dict[int, tuple[bool, int, int]]] = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def turn_upright(
    pixels: UInt8[np.ndarray, "h w 3"], orientation: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Undo an EXIF orientation; 1 and unknown values change nothing."""
    if orientation not in _TURNS:
        return pixels
    is_transposed, row_step, column_step = _TURNS[orientation]
    upright = pixels.swapaxes(0, 1) if is_transposed else pixels
    return np.ascontiguousarray(upright[::row_step, ::column_step])
