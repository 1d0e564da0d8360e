"""How large a picture may be, and what decoding takes: told from its header.

Formats differ by a factor of two and more. Figures are of Pillow's decoders, in bytes for each
pixel; tests/stylecore/images/test_decoder_memory.py holds them against real peaks.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Protocol

from stylecore.errors import TooManyPixelsError

_PILLOW: Final = 4  # its pixels, whatever the mode, but for one byte of gray
_OURS: Final = 3
# WebP: two canvases, the frame as bytes, Pillow's pixels. AVIF: planes, the frame as bytes,
# Pillow's pixels; the planes are at most three of two bytes.
_WHOLE_FRAME: Final = {"WEBP": 16.0, "AVIF": 13.0}
_TIFF_ROWS_PER_STRIP, _TIFF_BITS = 278, 258
_START_OF_SCAN: Final = b"\xff\xda"


@dataclass(frozen=True)
class DecodeLimits:
    """Largest file, and largest picture that its header may announce.

    A decoder may take ``bytes_per_pixel`` for each of ``max_pixels``: one that needs more of them
    gets fewer pixels.
    """

    max_bytes: int
    max_pixels: int
    bytes_per_pixel: int = 8


def give_back_memory() -> None:
    """Have the C library return what decoding left with this thread; only GNU's has this."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Header(Protocol):
    """A picture of which the header is read."""

    format: str | None
    fp: Any
    info: dict[Any, Any]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        ...


def check_size(header: Header, data: bytes, uri: str, limits: DecodeLimits) -> None:
    """Refuse a picture by what its header announces.

    Args:
        header: as Pillow gives it, before anything was decoded.
        data: the whole file.
        uri: where it came from; only for messages.
        limits: how much is allowed.

    Raises:
        TooManyPixelsError: it has more pixels, or decoding it takes more memory.
    """
    width, height = header.size
    size = f"{width} x {height} pixels"
    if width * height > limits.max_pixels:
        raise TooManyPixelsError(uri, f"{size}, more than {limits.max_pixels} together")
    needed, most = decoder_bytes(header, data), limits.max_pixels * limits.bytes_per_pixel
    if needed > most:
        megabytes = f"{needed / 1e6:.0f} MB of memory, more than {most / 1e6:.0f}"
        advice = "save it as a baseline JPEG or as PNG, or raise limits.max_pixels"
        raise TooManyPixelsError(
            uri, f"{size} of this kind of {header.format} take {megabytes}: {advice}"
        )


def decoder_bytes(header: Header, data: bytes) -> int:
    """About how many bytes decoding a picture takes at its peak.

    Args:
        header: as Pillow gives it, before anything was decoded.
        data: the whole file, of which decoders hold a copy.
    """
    width, height = header.size
    while_decoding = width * height * _while_decoding(header, data) + len(data)
    return ceil(max(width * height * (_PILLOW + _OURS), while_decoding))


def _while_decoding(header: Header, data: bytes) -> float:
    """Bytes for each pixel at the end of the decoder's own work."""
    if header.format in _WHOLE_FRAME:
        return _WHOLE_FRAME[header.format]
    if header.format in ("JPEG", "MPO"):
        return _PILLOW + _jpeg_coefficients(header, data)
    if header.format == "TIFF":
        return _PILLOW + _tiff_strip(header)
    return _PILLOW


def _jpeg_coefficients(header: Header, data: bytes) -> float:
    """Those of the whole picture are held where its scans bring a part of each; else none."""
    layers: list[tuple[int, int, int, int]] = getattr(header, "layer", [])
    if not (header.info.get("progressive") or _has_partial_scan(header, data, len(layers))):
        return 0
    samples = [across * down for _, across, down, _ in layers]
    return 2 * sum(samples) / max(1, *samples)


def _has_partial_scan(header: Header, data: bytes, num_layers: int) -> bool:
    """Whether the first scan has not all components."""
    if header.format == "MPO":  # read from elsewhere by now
        return False
    start = data.rfind(_START_OF_SCAN, 0, header.fp.tell())
    return start >= 0 and data[start + 4 : start + 5] != bytes([num_layers])


def _tiff_strip(header: Header) -> float:
    """A strip is decompressed as a whole, and may be as high as the picture."""
    if header.info.get("compression") == "raw":
        return 0
    tags = getattr(header, "tag_v2", {})
    bits = tags.get(_TIFF_BITS) or (8,)
    rows = tags.get(_TIFF_ROWS_PER_STRIP) or header.size[1]
    return sum(bits) / 8 * min(1.0, rows / header.size[1])
