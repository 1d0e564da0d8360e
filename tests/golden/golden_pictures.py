"""When two pictures count as the same."""

from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.images.codec import RgbImage

LARGEST_DIFFERENCE = 1  # grey levels anywhere, or
MEAN_DIFFERENCE = 0.2  # on average: another machine rounds differently, and descents amplify that


def compare(actual: RgbImage, expected: RgbImage, folder: Path) -> str | None:
    """What is wrong, if anything; the pictures side by side are then in ``folder``."""
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    difference = np.abs(actual.astype(int) - expected)
    if difference.max() <= LARGEST_DIFFERENCE or difference.mean() <= MEAN_DIFFERENCE:
        return None
    amplified = (difference * (255 / difference.max())).astype(np.uint8)
    path = folder / "actual-expected-difference.png"
    Image.fromarray(np.hstack([actual, expected, amplified])).save(path)
    return f"up to {difference.max()} levels, {difference.mean():.2f} on average: see {path}"
