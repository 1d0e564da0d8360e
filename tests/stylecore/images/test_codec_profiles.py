"""Color profiles written by hand, small enough to know what must come out."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits

pytestmark = pytest.mark.filterwarnings("error")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WHITE_D50 = b"XYZ " + struct.pack(">4x3i", 63190, 65536, 54061)


def icc(color_class: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data
    header = struct.pack(">I4xI", 128 + len(table) + len(body), 0x02400000)
    header += color_class + space + connection + bytes(12) + b"acsp" + bytes(28)
    return header + WHITE_D50[8:] + bytes(48) + table + body


def swapped_primaries() -> bytes:
    """SRGB with the red and the green primary exchanged."""
    return SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def linear_grey() -> bytes:
    linear = b"curv" + bytes(8)
    return icc(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": WHITE_D50, b"kTRC": linear})


def cmyk_all_red() -> bytes:
    """A press whose every ink gives L*a*b* (53, 80, 67), the red of sRGB."""
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix
    lut += identity * 4 + bytes([136, 208, 195]) * 16 + identity * 3
    return icc(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def decode_with(image: Image.Image, profile: bytes, file_format: str = "PNG") -> RgbImage:
    buffer = io.BytesIO()
    image.save(buffer, file_format, icc_profile=profile)
    return decode_image(buffer.getvalue(), "", DecodeLimits(2**20, 2**20))


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_profile_with_other_primaries_is_converted_to_srgb(mode):
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    assert decode_with(image, swapped_primaries())[0, 0].tolist() == [0, 255, 0]


def test_white_under_transparency_is_not_converted():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert decode_with(image, swapped_primaries())[0, 0].tolist() == [127, 255, 127]


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_linear_grey_is_brightened(mode):
    color = {"L": 64, "LA": (64, 255), "I;16": 64 * 257}[mode]
    grey = decode_with(Image.new(mode, (4, 4), color), linear_grey())[0, 0]
    assert np.abs(grey.astype(int) - 137).max() <= 1


def test_cmyk_goes_through_its_profile():
    red = decode_with(Image.new("CMYK", (4, 4), (200, 0, 0, 0)), cmyk_all_red(), "TIFF")[0, 0]
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 8


def test_srgb_stays_as_it_is():
    colors = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    shown = decode_with(Image.fromarray(colors), SRGB)
    assert np.abs(shown.astype(int) - colors).max() <= 1


@pytest.mark.parametrize(
    "profile", [b"garbage" * 30, cmyk_all_red(), linear_grey(), SRGB[:300]], ids=range(4)
)
def test_a_broken_profile_or_one_for_another_color_space_is_ignored(profile):
    image = Image.new("RGB", (4, 4), (10, 200, 30))
    assert decode_with(image, profile)[0, 0].tolist() == [10, 200, 30]


def test_a_grey_picture_ignores_a_profile_for_colors():
    assert decode_with(Image.new("L", (4, 4), 64), SRGB)[0, 0].tolist() == [64, 64, 64]
