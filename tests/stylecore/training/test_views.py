import pytest
import torch

from stylecore.training.views import Units, view_changed, view_in


def pictures(num: int = 2, side_px: int = 48) -> torch.Tensor:
    noise = torch.rand(num, 3, side_px, side_px, generator=torch.Generator().manual_seed(4))
    slope = torch.linspace(0, 0.4, side_px)
    return 0.3 * noise + slope + 0.1


def test_both_channels_of_a_whole_picture_have_unit_deviation():
    view = view_in(Units.of(pictures()), pictures())
    assert view.shape == (2, 2, 48, 48)
    spread = view.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(spread, torch.ones(2, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(view[:, 0].mean(dim=(1, 2)), torch.zeros(2), atol=1e-4, rtol=0)


def test_brightness_and_contrast_are_out_of_sight():
    changed = 0.5 * pictures() + 0.2
    before, after = (view_in(Units.of(each), each) for each in (pictures(), changed))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=0)


def test_colors_are_out_of_sight():
    red = pictures().clone()
    red[:, 0] += 0.1
    red[:, 1] -= 0.1 * 0.299 / 0.587  # of the same luma
    before, after = (view_in(Units.of(each), each) for each in (pictures(), red))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=0)


def test_contrast_of_large_areas_changes_the_first_channel_alone():
    across = torch.linspace(-1, 1, 48)
    steeper = pictures() + 0.2 * across
    before, after = (view_in(Units.of(each), each) for each in (pictures(), steeper))
    inner = slice(12, -12)  # beyond the reflection at the edges, where a slope is no slope
    change = (after - before)[..., inner, inner].abs().mean(dim=(0, 2, 3))
    assert change[0] > 3 * change[1]


def test_whole_pictures_are_seen_in_their_own_units_after_a_change():
    before, after = pictures(), pictures().sqrt()
    view = view_changed(Units.of(before), before, after)
    torch.testing.assert_close(view, view_in(Units.of(after), after), atol=1e-4, rtol=0)


def test_unchanged_crops_are_seen_in_the_units_of_their_pictures():
    whole = pictures()
    crop = whole[..., 8:40, 4:36]
    seen = view_changed(Units.of(whole), crop, crop)
    torch.testing.assert_close(seen, view_in(Units.of(whole), crop))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_picture_is_seen_without_a_division_by_zero(level):
    flat = torch.full((1, 3, 32, 32), level, requires_grad=True)
    view = view_changed(Units.of(flat.detach()), flat.detach(), flat)
    view.square().sum().backward()
    assert view.isfinite().all()
    assert flat.grad.isfinite().all()
