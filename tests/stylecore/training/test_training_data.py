"""Paintings as measures and training take them: scaled to the strokes, cut out by their masks."""

import numpy as np
import pytest
import torch

from stylecore.images.tensors import to_batch
from stylecore.training.data import PicturePair, TrainingData, scale_painting

PAINTING = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
PICTURE = np.random.default_rng(2).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def mask_of(rows: slice, columns: slice, level: int = 255) -> np.ndarray:
    mask = np.zeros(PAINTING.shape[:2], dtype=np.uint8)
    mask[rows, columns] = level
    return mask


@pytest.mark.parametrize(
    ("style_scale", "size"), [(1.0, (30, 40)), (0.5, (16, 20)), (2.0, (60, 80)), (0.001, (16, 16))]
)
def test_paintings_are_scaled_as_the_strokes_were_made(style_scale, size):
    pairs = [PicturePair("a", PICTURE, PICTURE)]
    (painting,) = TrainingData(pairs, [PAINTING], style_scale=style_scale).scaled_paintings()
    assert painting.shape[-2:] == size


@pytest.mark.parametrize("level", [255, 100])
def test_painting_with_a_mask_is_the_box_around_what_is_white(level):
    mask = mask_of(slice(10, 30), slice(20, 45), level)
    mask[0, 0] = level // 3  # gray that hardly counts
    found = scale_painting(PAINTING, 80, mask)
    assert torch.equal(found, to_batch([PAINTING[10:30, 20:45]]))


def test_strokes_of_a_part_keep_the_size_that_they_have_in_the_whole_painting():
    part = scale_painting(PAINTING, 40, mask_of(slice(0, 40), slice(40, 80)))
    assert part.shape == (1, 3, 20, 20)
    whole = scale_painting(PAINTING, 40)
    inside = np.s_[..., 2:-2, 2:-2]  # the filter sees beyond the cut
    torch.testing.assert_close(part[inside], whole[..., :20, 20:][inside], atol=0.01, rtol=0)


def test_black_mask_takes_the_whole_painting_and_one_pixel_is_enough():
    assert scale_painting(PAINTING, 80, mask_of(slice(0), slice(0))).shape == (1, 3, 60, 80)
    dot = scale_painting(PAINTING, 8, mask_of(slice(5, 6), slice(7, 8)))
    assert torch.equal(dot, to_batch([PAINTING[5:6, 7:8]]).expand(1, 3, 16, 16))


def test_each_painting_is_trained_on_by_its_own_mask():
    pairs = [PicturePair("a", PICTURE, PICTURE)]
    masks = [None, mask_of(slice(0, 60), slice(0, 40))]
    data = TrainingData(pairs, [PAINTING, PAINTING], masks=masks)
    assert [one.shape[-2:] for one in data.scaled_paintings()] == [(30, 40), (30, 20)]
