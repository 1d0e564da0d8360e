"""Bytes to pixels and back: the only module that knows Pillow.

Everything that comes in is untrusted. The header is held against our own limits before a pixel is
decoded, only the formats of ``READABLE_FORMATS`` are tried (an EPS would start Ghostscript), and
whatever a decoder does about broken bytes becomes one ``RowError`` with a stable code. Pixels come
out upright, in sRGB, on white, eight bits a channel: the first frame where there are several.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from stylecore.config import OutputSettings
from stylecore.errors import (
    EmptyFileError,
    ImageDecodeError,
    OutOfMemoryError,
    RowError,
    TooManyBytesError,
    TooManyPixelsError,
)
from stylecore.images.failures import explain_failure
from stylecore.images.limits import DecodeLimits, check_size, give_back_memory
from stylecore.images.modes import BASE_MODES, LOW_BIT_FACTORS
from stylecore.images.orientation import turn_upright

RgbImage = UInt8[np.ndarray, "h w 3"]
GrayImage = UInt8[np.ndarray, "h w"]

# Naming the readers imports them once, here, rather than in whichever thread decodes first.
# JPEG's also reads MPO, the stereo pictures of phones.
READABLE_FORMATS: Final[tuple[str, ...]] = tuple(
    reader.format
    for reader in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        AvifImagePlugin.AvifImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)
SUFFIXES: Final[dict[Literal["jpeg", "png", "webp"], str]] = {
    "jpeg": ".jpg",
    "png": ".png",
    "webp": ".webp",
}

# As browsers do: keep the colors that both spaces have, map black to black.
_INTENT: Final = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION

# Larger pictures are decoded one at a time: several at once would take gigabytes.
LARGE_PIXELS: Final = 12_000_000
_turn_of_large: Final = threading.RLock()

# Colors are converted in strips, so that a large picture is held once by Pillow and once by us.
_STRIP_PIXELS: Final = 2**18


class _Silence:
    """Stands in for the module ``warnings`` inside Pillow's readers.

    They warn about broken metadata, which we ignore, and raise for what we report. A filter
    cannot say so: it belongs to the whole process, and setting it per call is not thread-safe.
    """

    def warn(self, *_args: object, **_kwargs: object) -> None:
        pass


# Pillow's pixels in one piece each: pieces of 16 MB, its default, are kept by the C library for the
# thread that freed them, so that three readers were seen to hold 700 MB of nothing.
vars(Image)["core"].set_block_size(2**30)

for _reader in (Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin):
    vars(_reader)["warnings"] = _Silence()


def decode_image(data: bytes, uri: str, limits: DecodeLimits) -> RgbImage:
    """Read a picture from the bytes of a file, whatever the file is called.

    Applies EXIF orientation, converts an embedded color profile to sRGB (a broken profile or
    EXIF block is ignored), lays transparency on white, scales 16-bit grey to 8 bits.

    Args:
        data: the whole file.
        uri: where it came from; only for messages.
        limits: what to refuse before decoding.

    Returns:
        sRGB pixels, shape (h, w, 3), 0 to 255, writable.

    Raises:
        EmptyFileError: there are no bytes.
        TooManyBytesError: there are more bytes than allowed.
        TooManyPixelsError: the header announces more pixels than allowed.
        ImageDecodeError: the bytes are not a picture we can read; its code says in which way.
        OutOfMemoryError: there is not enough for it.
    """
    with decoded(data, uri, limits) as image:
        return image


@contextmanager
def decoded(data: bytes, uri: str, limits: DecodeLimits) -> Iterator[RgbImage]:
    """As ``decode_image``, for what is done with the picture at once, such as making it smaller.

    A picture of more than 12 megapixels is the only such one in this process until the block ends.
    """
    if not data:
        raise EmptyFileError(uri, "the file is empty")
    if len(data) > limits.max_bytes:
        raise TooManyBytesError(uri, f"{len(data)} bytes, more than {limits.max_bytes}")
    with ExitStack() as turn:
        yield _decode(data, uri, limits, turn)


def _decode(data: bytes, uri: str, limits: DecodeLimits, turn: ExitStack) -> RgbImage:
    """Pixels upright; whatever a decoder raises is made one of our errors."""
    try:
        return turn_upright(*_read(data, uri, limits, turn))
    except RowError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(uri, "no memory to decode it: run fewer shards at once") from error
    except Image.DecompressionBombError as error:
        # Pillow's own guard, for what it allocates before it tells us the size.
        raise TooManyPixelsError(uri, "more pixels than any decoder here takes") from error
    except Exception as error:  # a parser of hostile bytes fails in any way it likes
        is_identified = not isinstance(error, UnidentifiedImageError)
        code, reason = explain_failure(data, error, is_identified)
        raise ImageDecodeError(uri, code, reason) from error


def resample(image: RgbImage, width: int, height: int) -> RgbImage:
    """``image`` at exactly ``width`` x ``height`` pixels, by Lanczos on 8-bit values."""
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.array(resized)


def resample_gray(image: GrayImage, width: int, height: int) -> GrayImage:
    """As ``resample``, of one channel."""
    return resample(image, width, height)


def to_gray(image: RgbImage) -> GrayImage:
    """Luma of Rec. 601; a gray pixel keeps its value exactly."""
    height, width, _ = image.shape
    gray = np.empty((height, width), np.uint8)
    for rows in _strips(width, height):
        gray[rows] = np.asarray(Image.fromarray(image[rows]).convert("L"))
    return gray


def encode_image(image: RgbImage, output: OutputSettings) -> bytes:
    """The bytes of a picture file without any metadata.

    JPEG keeps color at full resolution (4:4:4): brush strokes are mostly color.
    """
    options: dict[str, Any] = {"format": output.format}
    if output.format != "png":
        options["quality"] = output.quality
    if output.format == "jpeg":
        options["subsampling"] = "4:4:4"
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return buffer.getvalue()


def _read(data: bytes, uri: str, limits: DecodeLimits, turn: ExitStack) -> tuple[RgbImage, int]:
    """Pixels as stored, and the EXIF orientation; Pillow's own copy is gone on return."""
    image = Image.open(io.BytesIO(data), formats=READABLE_FORMATS)
    check_size(image, data, uri, limits)
    if image.mode not in BASE_MODES:
        raise ImageDecodeError(uri, "unsupported_mode", f"pixels of mode {image.mode}")
    if image.width * image.height > LARGE_PIXELS:
        turn.enter_context(_turn_of_large)
        turn.callback(give_back_memory)
    _scale_transparent_value(image)
    image.load()
    return _to_rgb(image), _orientation(image)


def _scale_transparent_value(image: Image.Image) -> None:
    """Bring a PNG's transparent value to the eight bits that Pillow brings the samples to.

    Of 16-bit color only the upper bytes are left, so there it is as near as one can get.
    """
    key = image.info.get("transparency")
    if not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile or key is None:
        return
    raw_mode = image.tile[0].args
    if raw_mode in LOW_BIT_FACTORS:
        image.info["transparency"] = key * LOW_BIT_FACTORS[raw_mode]
    elif raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(sample >> 8 for sample in key)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none or the block is broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # metadata is as hostile as the rest, and not worth losing a picture
        return 1


def _to_rgb(image: Image.Image) -> RgbImage:
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    to_srgb = _srgb_transform(image)
    for rows in _strips(width, height):
        strip = image.crop((0, rows.start, width, rows.stop))
        pixels[rows] = np.asarray(_strip_to_rgb(strip, to_srgb))
    return pixels


def _strips(width: int, height: int) -> Iterator[slice]:
    """Rows of a picture, so many at a time that they are little memory."""
    num_rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, num_rows):
        yield slice(top, min(top + num_rows, height))


def _strip_to_rgb(strip: Image.Image, to_srgb: ImageCms.ImageCmsTransform | None) -> Image.Image:
    alpha = _alpha_of(strip)
    base = _without_alpha(strip)
    rgb = _in_mode(base, "RGB") if to_srgb is None else to_srgb.apply(base)
    if alpha is None:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


def _alpha_of(strip: Image.Image) -> Image.Image | None:
    """Opacity as a picture of mode L, or None where all is opaque."""
    key = strip.info.get("transparency")
    if strip.mode in ("LA", "PA", "RGBA") or (strip.mode == "P" and key is not None):
        return strip.convert("RGBA").getchannel("A")
    if key is None:
        return None
    samples = np.asarray(strip)
    is_clear = (samples == key).reshape(*samples.shape[:2], -1).all(axis=2)
    return Image.fromarray(np.where(is_clear, 0, 255).astype(np.uint8))


def _without_alpha(strip: Image.Image) -> Image.Image:
    """Color alone, in the mode that a color profile of this picture is for."""
    if strip.mode.startswith("I;16"):
        scaled = (np.asarray(strip).astype(np.uint32) + 128) // 257  # 65535 / 257 = 255
        return Image.fromarray(scaled.astype(np.uint8))
    return _in_mode(strip, BASE_MODES[strip.mode])


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Converted, without the copy that Pillow makes of what has the mode already."""
    return image if image.mode == mode else image.convert(mode)


def _srgb_transform(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """From the embedded color profile to sRGB; None without one that is whole and of our mode."""
    icc = image.info.get("icc_profile")
    if not icc:
        return None
    mode = BASE_MODES[image.mode]
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.buildTransform(profile, srgb, mode, "RGB", _INTENT, _FLAGS)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
