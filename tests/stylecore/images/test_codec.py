import io
import json
import random
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageOps

from stylecore.config import OutputSettings
from stylecore.errors import ImageReason, RowError
from stylecore.images.codec import SUFFIXES, RgbImage, decode_image, encode_image
from stylecore.images.limits import DecodeLimits

pytestmark = pytest.mark.filterwarnings("error")

HOSTILE = Path(__file__).parents[2] / "hostile"
INDEX = json.loads((HOSTILE / "index.json").read_text(encoding="utf-8"))
LIMITS = DecodeLimits(INDEX["policy"]["max_bytes"], INDEX["policy"]["max_pixels"])
GOOD = [case for case in INDEX["cases"] if case["expect"] == "ok"]
BAD = [case for case in INDEX["cases"] if case["expect"] == "reject"]

# Prints by how much decoding raised the peak of resident memory, in copies of the picture.
PEAK = """
import re, sys
from pathlib import Path
from stylecore.images.codec import decode_image
from stylecore.images.limits import DecodeLimits

def peak():
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])

data = sys.stdin.buffer.read()
before = peak()
pixels = decode_image(data, "", DecodeLimits(2**26, 2**26))
print((peak() - before) / pixels.nbytes)
"""


def decode(data: bytes) -> RgbImage:
    return decode_image(data, "file.jpg", LIMITS)


def code_of(data: bytes, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(RowError) as caught:
        decode_image(data, "s3://inbox/file.jpg", limits)
    assert str(caught.value).startswith("s3://inbox/file.jpg: ")
    return caught.value.code


def outcome(data: bytes) -> str:
    try:
        decode(data)
    except RowError as error:
        return error.code
    return "made"


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def photo(width: int = 40, height: int = 24) -> RgbImage:
    """Smooth, with no symmetry, so that no turn of it looks like another."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = (columns * 255 / width, rows * 255 / height, (rows + columns) * 2.0)
    return np.stack(planes, axis=-1).astype(np.uint8)


def png(ihdr: tuple[int, ...], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand: Pillow cannot write what some cameras and optimizers do."""
    body = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", struct.pack(">IIBBBBB", *ihdr)), *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + name + data
        body += struct.pack(">I", zlib.crc32(name + data))
    return body


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["file"])
def test_every_good_file_of_the_corpus_gives_its_size_and_its_probed_color(case):
    pixels = decode((HOSTILE / case["file"]).read_bytes())
    assert pixels.dtype == np.uint8
    assert [pixels.shape[1], pixels.shape[0]] == case["size"]
    assert pixels.shape[2] == 3
    if "probe" in case:
        (x, y), expected, tolerance = case["probe"]
        assert np.abs(pixels[y, x].astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["file"])
def test_every_bad_file_of_the_corpus_is_refused_with_its_code(case):
    assert code_of((HOSTILE / case["file"]).read_bytes()) == case["reason"]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["file"])
def test_damage_anywhere_is_a_coded_error_or_a_picture(case):
    """Anything else that escapes would fail the shard rather than the row."""
    data = (HOSTILE / case["file"]).read_bytes()
    chance = random.Random(case["file"])
    for length in range(1, len(data), max(1, len(data) // 25)):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        for candidate in (data[:length], bytes(damaged)):
            assert outcome(candidate) in {"made", "too_many_pixels", *get_args(ImageReason)}


def test_a_file_without_bytes_is_empty():
    assert code_of(b"") == "empty"


def test_size_limits_are_inclusive():
    data = saved(Image.new("RGB", (30, 20)), "PNG")
    assert decode_image(data, "", DecodeLimits(len(data), 600)).shape == (20, 30, 3)
    assert code_of(data, DecodeLimits(len(data) - 1, 600)) == "too_many_bytes"
    assert code_of(data, DecodeLimits(len(data), 599)) == "too_many_pixels"


def test_a_gif_frame_larger_than_its_screen_is_refused_before_it_is_allocated():
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    dispose_to_background = b"!\xf9\x04\x08\x00\x00\x00\x00"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x00;"
    assert code_of(screen + dispose_to_background + frame) == "too_many_pixels"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported_format"),
        (b"8BPS\x00\x01" + bytes(60), "unsupported_format"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(60), "unsupported_format"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60), "unsupported_format"),
        (b"\xef\xbb\xbf \n<?xml version='1.0'?><svg/>", "unsupported_format"),
        (b"<?xml version='1.0'?><html><svg/></html>", "not_an_image"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "not_an_image"),
        (b"P6\n1 1\n255\nabc", "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"RIFF\xff\x00\x00\x00WEBPVP8 ", "truncated"),
        (b"GIF89a" + bytes(3), "corrupt"),
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_told_apart_by_its_bytes(data, code):
    assert code_of(data) == code


def test_the_message_names_the_format_and_what_to_do():
    with pytest.raises(RowError, match="SVG is not supported; convert it to JPEG or PNG"):
        decode(b"<svg xmlns='http://www.w3.org/2000/svg'/>")


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_samples_without_a_known_white_are_an_unsupported_mode(mode):
    assert code_of(saved(Image.new(mode, (4, 4)), "TIFF")) == "unsupported_mode"


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_tiff_is_scaled_and_not_clipped(order):
    samples = np.array([[0, 257, 32896, 65535]], dtype=f"{order}u2")
    image = Image.frombytes("I;16B" if order == ">" else "I;16", (4, 1), samples.tobytes())
    assert decode(saved(image, "TIFF"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_agrees_with_pillow(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(photo()), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(decode(data), expected)


def test_a_tiff_is_turned_only_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(photo()), "TIFF", exif=exif)
    assert np.array_equal(decode(data), np.rot90(photo(), -1))


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(saved(Image.fromarray(photo()), "PNG", exif=exif)), photo())


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_red_is_pink(file_format):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    options = {"lossless": True} if file_format == "WEBP" else {}
    assert decode(saved(image, file_format, **options))[0, 0].tolist() == [255, 127, 127]


def test_grey_with_alpha_is_laid_on_white():
    pixels = decode(saved(Image.new("LA", (4, 4), (0, 64)), "PNG"))
    assert pixels[0, 0].tolist() == [191, 191, 191]


@pytest.mark.parametrize(
    ("bits", "color_type", "key", "row", "expected"),
    [
        (8, 0, b"\x00\x07", b"\x07\x08", [255, 8]),
        (1, 0, b"\x00\x00", b"\x40", [255, 255]),
        (2, 0, b"\x00\x01", b"\x60", [255, 170]),
        (4, 0, b"\x00\x01", b"\x12", [255, 34]),
        (16, 0, b"\x12\x34", b"\x12\x34\x12\x35", [255, 18]),
        (8, 2, b"\x00\x07" * 3, b"\x07\x07\x07\x07\x07\x08", [255, 8]),
        (16, 2, b"\x12\x34" * 3, b"\x12\x34" * 3 + b"\x13\x34" * 3, [255, 19]),
    ],
)
def test_the_transparent_value_of_a_png_becomes_white(bits, color_type, key, row, expected):
    image = zlib.compress(b"\x00" + row)
    data = png((2, 1, bits, color_type, 0, 0, 0), (b"tRNS", key), (b"IDAT", image))
    assert decode(data)[0, :, 2].tolist() == expected


def test_the_first_frame_of_an_animated_png_is_taken():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime")]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


def test_a_large_picture_is_the_same_across_strips():
    large = np.random.default_rng(0).integers(0, 256, (1100, 2000, 3), dtype=np.uint8)
    assert np.array_equal(decode(saved(Image.fromarray(large), "BMP")), large)


def test_readers_in_many_threads_agree_with_one():
    files = [(HOSTILE / case["file"]).read_bytes() for case in GOOD] * 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files))
    assert all(
        np.array_equal(alone, shared)
        for alone, shared in zip(map(decode, files), together, strict=True)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_decoding_holds_at_most_three_copies():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("RGB", (6000, 3000)), "JPEG", exif=exif)
    run = subprocess.run([sys.executable, "-c", PEAK], input=data, check=True, capture_output=True)
    assert 1.0 < float(run.stdout) < 3.0


@pytest.mark.parametrize("file_format", list(SUFFIXES))
def test_an_encoded_picture_decodes_to_nearly_itself(file_format):
    data = encode_image(photo(), OutputSettings(format=file_format))
    error = decode(data).astype(int) - photo()
    assert np.abs(error).mean() < (0.001 if file_format == "png" else 2.5)


def test_jpeg_keeps_color_at_full_resolution():
    data = encode_image(photo(), OutputSettings(format="jpeg"))
    with Image.open(io.BytesIO(data)) as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        assert "exif" not in image.info


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
def test_a_higher_quality_takes_more_bytes(file_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    low, high = (
        len(encode_image(noise, OutputSettings(format=file_format, quality=quality)))
        for quality in (30, 95)
    )
    assert low < high
