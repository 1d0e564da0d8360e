"""Honest pictures as large as the default limits take, in every way that files can be laid out."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
from PIL import Image
from sample_images import PHOTOGRAPHS

Maker = Callable[[], bytes]
SIDE_PX: Final = 7000  # 49 megapixels, of 50 that the limits take
_PROGRESSIVE_SIDE_PX: Final = 6280  # with color at full resolution: ten bytes for each pixel
_WEBP_SIDE_PX: Final = 4980  # sixteen
_AVIF_SIDE_PX: Final = 5500  # thirteen
_TURNED: Final = 6  # EXIF: the camera was held upright


@cache
def _picture(side_px: int, mode: str = "RGB") -> Image.Image:
    with Image.open(PHOTOGRAPHS[0]) as photograph:
        small = photograph.convert(mode)
    return small.resize((side_px, side_px), Image.Resampling.NEAREST)


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, file_format, **options)
    return sink.getvalue()


def _jpeg(side_px: int = SIDE_PX, mode: str = "RGB", **options: Any) -> bytes:
    return _saved(_picture(side_px, mode), "JPEG", quality=80, **options)


def _png(mode: str) -> bytes:
    return _saved(_picture(SIDE_PX, mode), "PNG", compress_level=1)


def _gray_16() -> bytes:
    row = np.arange(SIDE_PX, dtype=np.uint16) * 9
    return _saved(Image.fromarray(np.tile(row, (SIDE_PX, 1))), "PNG", compress_level=1)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = _TURNED
    return _jpeg(exif=exif)


def deep_tiff(side_px: int) -> bytes:
    """16 bits a color in one deflated strip, which Pillow reads and does not write."""
    strip = zlib.compress(bytes(6 * side_px) * side_px, 1)
    entries = [(256, 3, side_px), (257, 3, side_px), (258, 3, 0), (259, 3, 8), (262, 3, 2)]
    entries += [(273, 4, 0), (277, 3, 3), (278, 4, side_px), (279, 4, len(strip))]
    bits_at = 8 + 2 + 12 * len(entries) + 4
    places = {258: (3, bits_at), 273: (1, bits_at + 6)}
    body = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        count, content = places.get(tag, (1, value))
        body += struct.pack("<HHII", tag, kind, count, content)
    return b"II*\x00\x08\x00\x00\x00" + body + bytes(4) + struct.pack("<3H", 16, 16, 16) + strip


LARGE: Final[Mapping[str, Maker]] = {
    "baseline.jpg": _jpeg,
    "progressive.jpg": lambda: _jpeg(progressive=True),
    "cmyk.jpg": lambda: _jpeg(mode="CMYK"),
    "turned.jpg": _turned,
    "rgb.png": lambda: _png("RGB"),
    "rgba.png": lambda: _png("RGBA"),
    "gray16.png": _gray_16,
    "palette.gif": lambda: _saved(_picture(SIDE_PX, "P"), "GIF"),
    "packed.tif": lambda: _saved(_picture(SIDE_PX, "L"), "TIFF", compression="tiff_adobe_deflate"),
    "full-color-progressive.jpg": lambda: _jpeg(
        _PROGRESSIVE_SIDE_PX, progressive=True, subsampling=0
    ),
    "deep.tif": lambda: deep_tiff(_PROGRESSIVE_SIDE_PX),
    "lossy.webp": lambda: _saved(_picture(_WEBP_SIDE_PX), "WEBP", method=0, quality=60),
    "full-color.avif": lambda: _saved(
        _picture(_AVIF_SIDE_PX), "AVIF", speed=10, quality=50, subsampling="4:4:4"
    ),
}
