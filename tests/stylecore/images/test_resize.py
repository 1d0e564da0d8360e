import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stylecore.images.resize import fit_longest_side, resize_content, resize_style

SIDES = st.integers(1, 10_000)


@given(SIDES, SIDES, st.integers(1, 8192))
def test_the_longest_side_is_met_and_the_aspect_kept_to_a_pixel(width, height, longest_side_px):
    new_width, new_height = fit_longest_side(width, height, longest_side_px)
    assert max(new_width, new_height) == longest_side_px
    assert min(new_width, new_height) >= 1
    exact = min(width, height) * longest_side_px / max(width, height)
    assert abs(min(new_width, new_height) - exact) <= (0.5 if exact >= 0.5 else 1)


@given(SIDES, SIDES, st.integers(1, 8192))
def test_exchanging_the_sides_exchanges_the_result(width, height, longest_side_px):
    turned = fit_longest_side(height, width, longest_side_px)
    assert fit_longest_side(width, height, longest_side_px) == turned[::-1]


@pytest.mark.parametrize(
    ("size", "content_size", "style_size"),
    [
        ((100, 40), (50, 20), (50, 20)),
        ((40, 100), (20, 50), (20, 50)),
        ((50, 20), (50, 20), (50, 20)),
        ((10, 4), (10, 4), (50, 20)),
        ((1, 1), (1, 1), (50, 50)),
        ((500, 1), (50, 1), (50, 1)),
    ],
)
def test_a_style_is_enlarged_and_a_photograph_never(size, content_size, style_size):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    assert resize_content(image, 50).shape == (content_size[1], content_size[0], 3)
    assert resize_style(image, 50).shape == (style_size[1], style_size[0], 3)


def test_the_filter_is_lanczos_on_eight_bits():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    expected = Image.fromarray(image).resize((45, 30), Image.Resampling.LANCZOS)
    assert np.array_equal(resize_content(image, 45), np.asarray(expected))


def test_a_flat_color_stays_itself():
    image = np.full((70, 90, 3), (3, 141, 250), np.uint8)
    for longest_side_px in (31, 200):
        assert (resize_style(image, longest_side_px) == (3, 141, 250)).all()


def test_pixels_can_be_written_to():
    image = np.zeros((40, 40, 3), np.uint8)
    assert resize_content(image, 20).flags.writeable
