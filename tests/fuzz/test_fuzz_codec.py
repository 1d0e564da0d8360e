"""Whatever a picture file holds, it is a picture or refused with a code, in every format."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from fuzzing import fuzz, mutate
from PIL import Image
from reliability import See

from stylecore.errors import ImageReason, RowError
from stylecore.images.codec import decode_image
from stylecore.images.limits import DecodeLimits

HOSTILE = Path(__file__).parent.parent / "hostile"
LIMITS = DecodeLimits(2**20, 2**20)  # small, so that what a header announces costs little time
ALLOWED_MB = 150
REFUSED = {"empty", "too_many_bytes", "too_many_pixels", *get_args(ImageReason)}
PNG = b"\x89PNG\r\n\x1a\n"
TOKENS = [b"\xff\xd8", b"\xff\xda", b"\xff\xc2", b"\xff\xff", b"IDAT", b"tRNS", b"PLTE", b"acTL"]
TOKENS += [b"GIF89a", b"\x21\xf9\x04", b"\x2c", b"\x3b", b"II*\x00", b"MM\x00*", b"VP8 ", b"VP8L"]
TOKENS += [b"VP8X", b"ALPH", b"ANMF", b"RIFF", b"ftyp", b"iloc", b"av01", b"BM", b"Exif\x00\x00"]
TOKENS += [b"\x00" * 8, b"\xff" * 8, struct.pack("<I", 2**31), struct.pack(">H", 65535)]


def saved(mode: str, file_format: str, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(sink, file_format, **options)
    return sink.getvalue()


def frames(file_format: str) -> bytes:
    images = [Image.new("RGB", (16, 12), color) for color in ("red", "lime", "blue")]
    sink = io.BytesIO()
    images[0].save(sink, file_format, save_all=True, append_images=images[1:])
    return sink.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = [
    *(path.read_bytes() for path in sorted(HOSTILE.glob("ok_*")) if path.stat().st_size < 2000),
    *(saved(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(saved("RGB", "JPEG", **words) for words in ({}, {"progressive": True}, {"exif": EXIF})),
    *(saved(mode, "JPEG") for mode in ("L", "CMYK")),
    *(saved("RGB", "TIFF", compression=how) for how in (None, "tiff_lzw", "packbits", "jpeg")),
    saved("RGB", "TIFF", compression="tiff_adobe_deflate", exif=EXIF),
    saved("1", "TIFF", compression="group4"),
    *(saved("RGBA", "WEBP", lossless=lossless) for lossless in (True, False)),
    *(saved(mode, "AVIF", quality=30) for mode in ("RGB", "RGBA")),
    *(saved(mode, "BMP") for mode in ("1", "L", "P", "RGB")),
    saved("P", "GIF"),
    *(frames(file_format) for file_format in ("GIF", "PNG", "WEBP", "TIFF", "AVIF")),
]


def mended(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks put right, so that damage gets behind them."""
    if not data.startswith(PNG):
        return data
    found, at = bytearray(data), len(PNG)
    while at + 12 <= len(found):
        length = int.from_bytes(found[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))
        at = end + 4
    return bytes(found)


@pytest.mark.reliability
def test_any_file_is_a_picture_or_refused_with_a_code(fuzz_inputs: int, seen: See) -> None:
    outcomes: dict[str, int] = {}

    def check(data: bytes) -> None:
        outcome = outcome_of(mended(data))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert outcome in {"made", *REFUSED}

    done = fuzz(fuzz_inputs, lambda chance: mutate(chance, FILES, TOKENS), check)
    assert {"made", "corrupt", "truncated"} <= outcomes.keys()
    assert done.megabytes < ALLOWED_MB
    share = f"{100 * outcomes['made'] / done.inputs:.0f} % made"
    seen("damaged pictures of every format", f"{share}, the others refused by code", str(done))


def outcome_of(data: bytes) -> str:
    try:
        pixels = decode_image(data, "photo", LIMITS)
    except RowError as error:
        return error.code if str(error).isprintable() else "not printable"
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert 0 < pixels.size <= 3 * LIMITS.max_pixels
    return "made"
