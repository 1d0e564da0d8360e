"""What a file that no decoder of ours accepts is after all, told from its bytes.

Only for the answer that a user gets; nothing is read or refused because of it.
"""

from __future__ import annotations

from typing import Final

from stylecore.errors import ImageReason

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"8BPS", "PSD"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftypheim", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypcrx ", "Canon raw"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (0, b"IIRO", "Olympus raw"),
    (0, b"IIU\x00", "Panasonic raw"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (0, b"gimp xcf", "XCF"),
    (0, b"P3\n", "PPM"),
    (0, b"P5\n", "PGM"),
    (0, b"P6\n", "PPM"),
)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_TIFF: Final = (b"II*\x00", b"MM\x00*")
_UNMISTAKABLE: Final = (_PNG, b"GIF87a", b"GIF89a")
_XML_STARTS: Final = (b"<?xml", b"<!--", b"<!DOCTYPE svg")
_HEAD_BYTES: Final = 4096


def explain_failure(data: bytes, error: Exception, is_identified: bool) -> tuple[ImageReason, str]:
    """Why a decoder failed: a stable code, and a sentence for the user.

    Args:
        data: the whole file.
        error: what the decoder raised.
        is_identified: whether any decoder took the file to be one of its own.
    """
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, EOFError) or "truncated" in message.lower() or _is_cut_short(data):
        return "truncated", "the file ends too early"
    if is_identified:
        return ("unsupported_mode" if "unsupported" in message.lower() else "corrupt"), message
    name = _unreadable_format(data)
    if name is not None:
        return "unsupported_format", f"{name} is not supported; convert it to JPEG or PNG"
    if data.startswith(_TIFF):
        return "unsupported_mode", "a TIFF with an unknown layout of pixels"
    if data.startswith(_UNMISTAKABLE) or _is_webp(data):
        return "corrupt", "the header is damaged"
    return "not_an_image", "no known picture format"


def _is_cut_short(data: bytes) -> bool:
    """Whether a PNG, WebP or TIFF file ends before it says it does.

    Their decoders report an early end in the header as a file that is not theirs.
    """
    if data.startswith(_PNG):
        return b"IEND" not in data
    if _is_webp(data):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data.startswith(_TIFF):
        directory = data[4:8] if data.startswith(b"MM") else data[7:3:-1]
        return int.from_bytes(directory, "big") + 2 > len(data)
    return False


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data.startswith(b"WEBP", 8)


def _unreadable_format(data: bytes) -> str | None:
    """Name of the picture format that ``data`` has and we do not read, if we know it."""
    for offset, magic, name in _SIGNATURES:
        if data.startswith(magic, offset):
            return name
    return "SVG" if _is_svg(data) else None


def _is_svg(data: bytes) -> bool:
    """SVG by its root element; a web page with a drawing in it is not one."""
    head = data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<svg"):
        return True
    return head.startswith(_XML_STARTS) and b"<svg" in head and b"<html" not in head.lower()
