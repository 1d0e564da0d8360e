"""Where a minimisation begins."""

import numpy as np
import pytest
import torch

from stylecore.optimize.starts import StartInputs, make_start
from stylecore.settings import OptimizeSettings


@pytest.fixture
def contents() -> torch.Tensor:
    return torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(5))


def inputs(styles=(), image=None, seed=0) -> StartInputs:
    return StartInputs(styles, image, seed)


def flat(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_content_starts_from_a_copy_of_the_photographs(contents):
    start = make_start("content", contents, inputs())
    assert torch.equal(start, contents)
    assert start.data_ptr() != contents.data_ptr()


def test_noise_depends_on_the_seed_alone(contents):
    first = make_start("noise", contents, inputs(seed=1))
    assert torch.equal(first, make_start("noise", 1 - contents, inputs(seed=1)))
    assert not torch.equal(first, make_start("noise", contents, inputs(seed=2)))


def test_noise_does_not_depend_on_the_place_in_the_batch(contents):
    start = make_start("noise", contents, inputs())
    assert torch.equal(start[0], start[1])


def test_noise_fills_the_range(contents):
    start = make_start("noise", contents, inputs())
    assert 0 <= start.min() < 0.05
    assert 0.95 < start.max() <= 1


def test_a_color_matched_start_has_the_mean_color_of_the_style(contents):
    start = make_start("color-matched", contents, inputs([(flat(0.2, 0.5, 0.7), 1.0)]))
    expected = torch.tensor([0.2, 0.5, 0.7]).expand(2, 3)
    torch.testing.assert_close(start.mean(dim=(2, 3)), expected, atol=1e-3, rtol=0)


def test_a_color_matched_start_weighs_the_colors_of_a_blend(contents):
    styles = [(flat(0.2, 0.2, 0.2), 3.0), (flat(0.6, 0.6, 0.6), 1.0)]
    start = make_start("color-matched", contents, inputs(styles))
    torch.testing.assert_close(start.mean(dim=(2, 3)), torch.full((2, 3), 0.3), atol=1e-3, rtol=0)


def test_a_given_picture_is_taken_as_it_is_at_its_own_size(contents):
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    start = make_start("image", contents, inputs(image=image))
    assert torch.equal((start[1] * 255).round().permute(1, 2, 0), torch.from_numpy(image).float())


def test_a_given_picture_of_another_size_is_resized(contents):
    image = np.full((5, 7, 3), 51, dtype=np.uint8)
    start = make_start("image", contents, inputs(image=image))
    torch.testing.assert_close(start, torch.full_like(contents, 0.2))


def test_a_missing_picture_is_named(contents):
    with pytest.raises(ValueError, match="init_uri"):
        make_start("image", contents, inputs())


def test_every_start_that_a_job_may_ask_for_exists(contents):
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    for init in OptimizeSettings.model_fields["init"].annotation.__args__:
        start = make_start(init, contents, inputs([(flat(0.5, 0.5, 0.5), 1.0)], image))
        assert start.shape == contents.shape


def test_colors_are_matched_by_the_masks_of_the_styles(contents):
    left = torch.zeros(1, 1, 12, 10)
    left[..., :4] = 1
    soft = 0.5 * torch.ones(1, 1, 12, 10)
    soft[..., 7:] = 0
    styles = [(flat(0.2, 0.2, 0.2), 1.0), (flat(0.8, 0.8, 0.8), 1.0)]
    start = make_start("color-matched", contents, StartInputs(styles, None, 0, [left, soft]))
    dark, light = (make_start("color-matched", contents, inputs([style])) for style in styles)
    assert torch.allclose(start[..., :4], ((2 * dark + light) / 3)[..., :4], atol=1e-5)
    assert torch.allclose(start[..., 4:7], ((contents + light) / 2)[..., 4:7], atol=1e-5)
    assert torch.equal(start[..., 7:], contents[..., 7:])
