"""Reading masks, with pictures made on the spot."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from stylecore.errors import EmptyFileError, MaskSizeError
from stylecore.images.limits import DecodeLimits
from stylecore.images.masks import decode_mask, resize_mask
from stylecore.images.resize import resize_content

LIMITS = DecodeLimits(10**6, 10**6)
PHOTOGRAPH = np.zeros((30, 40, 3), np.uint8)


def png(values: np.ndarray, **options: object) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(values).save(sink, "PNG", **options)
    return sink.getvalue()


def decode(values: np.ndarray, **options: object) -> np.ndarray:
    return decode_mask(png(values, **options), "m.png", LIMITS, PHOTOGRAPH.shape[:2], "photograph")


def test_gray_values_come_through_as_they_are():
    gray = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    np.testing.assert_array_equal(decode(gray), gray)
    np.testing.assert_array_equal(decode(np.stack([gray] * 3, axis=2)), gray)


def test_colors_count_by_their_luminance():
    green = np.zeros((30, 40, 3), np.uint8)
    green[..., 1] = 255
    assert np.unique(decode(green)).tolist() == [150]


def test_a_mask_of_another_size_is_refused_with_both_sizes():
    expected = "m.png: the mask is 40 x 20 px and the photograph 40 x 30 px: make them the same"
    with pytest.raises(MaskSizeError, match=expected) as caught:
        decode(np.zeros((20, 40), np.uint8))
    assert caught.value.code == "mask_size"


def test_the_size_is_that_of_the_mask_held_upright():
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    assert decode(np.zeros((40, 30), np.uint8), exif=turned).shape == (30, 40)


def test_a_broken_mask_says_so():
    with pytest.raises(EmptyFileError, match=r"m\.png"):
        decode_mask(b"", "m.png", LIMITS, PHOTOGRAPH.shape[:2], "photograph")


def test_a_mask_is_resized_as_its_photograph_is():
    gray = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    small = resize_content(np.stack([gray] * 3, axis=2), 17)
    np.testing.assert_array_equal(resize_mask(gray, small), small[..., 0])
    assert resize_mask(gray, PHOTOGRAPH) is gray
