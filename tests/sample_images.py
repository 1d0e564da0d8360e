"""Small pictures for tests, all cut from the photographs that the project ships."""

import io
from itertools import product
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).parent.parent / "deployments" / "samples"
PHOTOGRAPHS = tuple(sorted((SAMPLES / "content").glob("*.jpg")))
GREAT_WAVE = SAMPLES / "style" / "great_wave.jpg"
POPPIES = SAMPLES / "style" / "poppies.jpg"
_SHAPES = ((96, 64), (64, 96), (80, 80))


def make_photographs(count: int) -> dict[str, bytes]:
    """``count`` different JPEG files of at most 96 px a side, by name."""
    found: dict[str, bytes] = {}
    for number, (shape, path) in enumerate(product(_SHAPES, PHOTOGRAPHS)):
        if number >= count:
            break
        found[f"photo{number:02d}.jpg"] = crop_jpeg(path, shape, offset=16 * number)
    if len(found) != count:
        raise ValueError(f"only {len(found)} photographs can be made")
    return found


def crop_jpeg(path: Path, shape: tuple[int, int], offset: int) -> bytes:
    """A piece of a picture at half its size, as a JPEG."""
    width, height = shape
    with Image.open(path) as image:
        half = image.convert("RGB").reduce(2)
    piece = half.crop((offset, offset // 2, offset + width, offset // 2 + height))
    sink = io.BytesIO()
    piece.save(sink, "JPEG", quality=90)
    return sink.getvalue()


def make_many_photographs(count: int) -> dict[str, bytes]:
    """Any number of different JPEG files of 96 x 64 px, by name."""
    found = {}
    for number in range(count):
        round_, place = divmod(number, len(PHOTOGRAPHS))
        found[f"photo{number:03d}.jpg"] = crop_jpeg(PHOTOGRAPHS[place], _SHAPES[0], 3 * round_)
    return found
