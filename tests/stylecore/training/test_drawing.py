import numpy as np

from stylecore.training.curves import CurvePoint
from stylecore.training.drawing import draw_curves, lay_side_by_side, rasterize_curves

POINTS = [
    CurvePoint(step=1, values={"adversary": 0.3, "discriminator": 0.7, "content": 0.1}),
    CurvePoint(step=2, values={"adversary": -0.2, "discriminator": 0.6, "success": 0.9}),
]


def test_curves_are_labeled_by_loss_in_the_svg():
    text = draw_curves(POINTS).decode()
    assert text.startswith("<?xml")
    assert all(f"<!-- {name} -->" in text for name in ("adversary", "discriminator", "content"))
    assert "<!-- success -->" not in text


def test_curves_without_points_are_drawn_too():
    assert draw_curves([]).startswith(b"<?xml")
    assert rasterize_curves([]).shape == (288, 720, 3)


def test_pixels_show_what_the_curves_are():
    flat, steep = (
        rasterize_curves([CurvePoint(step=n, values={"content": n * slope}) for n in range(3)])
        for slope in (0, 1)
    )
    assert flat.dtype == np.uint8
    assert (flat != steep).any()


def test_pictures_stand_side_by_side_with_white_between():
    one, other = np.zeros((4, 3, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)
    row = lay_side_by_side([one, other])
    assert row.shape == (4, 3 + 8 + 5, 3)
    np.testing.assert_array_equal(row[:, :3], one)
    assert (row[:, 3:11] == 255).all()
    np.testing.assert_array_equal(row[:, 11:], other)
