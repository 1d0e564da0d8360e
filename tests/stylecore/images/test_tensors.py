import numpy as np
import pytest
import torch

from stylecore.images.tensors import crop, from_batch, pad_to_minimum, to_batch


def pictures(count: int, height: int = 5, width: int = 7) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def test_pictures_come_back_bit_for_bit():
    images = pictures(3)
    assert all(map(np.array_equal, from_batch(to_batch(images)), images))


def test_a_batch_has_channels_before_rows_and_values_up_to_one():
    image = np.zeros((5, 7, 3), np.uint8)
    image[4, 6] = (255, 51, 0)
    batch = to_batch([image])
    assert batch.shape == (1, 3, 5, 7)
    assert (batch.dtype, batch.is_contiguous()) == (torch.float32, True)
    torch.testing.assert_close(batch[0, :, 4, 6], torch.tensor([1.0, 0.2, 0.0]))


def test_levels_are_rounded_and_clamped():
    values = torch.tensor([-0.5, 0.49 / 255, 0.51 / 255, 254.6 / 255, 1.5])
    batch = values.reshape(1, 1, 1, 5).repeat(1, 3, 1, 1).requires_grad_()
    assert from_batch(batch)[0][0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (40, 15), (16, 16)])
def test_padding_repeats_the_edge_and_crop_takes_it_off(height, width):
    batch = to_batch(pictures(2, height, width))
    padded = pad_to_minimum(batch)
    assert padded.shape[-2:] == (max(16, height), max(16, width))
    assert torch.equal(crop(padded, height, width), batch)
    assert torch.equal(padded[..., -1, -1], batch[..., -1, -1])
