"""What a photograph is optimized towards, with the tiny encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylecore.errors import OutOfMemoryError
from stylecore.images.codec import RgbImage
from stylecore.images.color import luminance_of
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.settings import OptimizeSettings
from stylecore.stylizer import Content, StylePainting
from stylecore.stylizer.subject import Studio

LAYERS = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}


def noise(height: int, width: int, seed: int) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


PHOTO, PAINTING = noise(24, 32, 0), noise(20, 40, 1)


def studio(encoder: Encoder, **settings: object) -> Studio:
    values = OptimizeSettings.model_validate({**LAYERS, **settings})
    return Studio(encoder, values, [StylePainting(PAINTING)], torch.device("cpu"))


def total(encoder: Encoder, **settings: object) -> float:
    subject = studio(encoder, **settings).prepare(Content(0, PHOTO))
    return float(subject.objective(subject.photograph).total[0])


def test_the_painting_is_as_large_as_the_style_scale_says(tiny_encoder: Encoder) -> None:
    (painting, _), *_ = (
        studio(tiny_encoder, style_scale=2).prepare(Content(0, PHOTO)).style.paintings
    )
    assert painting.shape[-2:] == (32, 64)


def test_layer_weights_of_one_change_nothing_and_of_zero_leave_a_layer_out(
    tiny_encoder: Encoder,
) -> None:
    plain = total(tiny_encoder)
    assert total(tiny_encoder, style_layer_weights={"relu1_1": 1.0}) == plain
    alone = total(tiny_encoder, style_layers=("relu2_1",))
    without = total(tiny_encoder, style_layer_weights={"relu1_1": 0.0})
    assert without == pytest.approx(alone, rel=1e-6)
    assert alone != pytest.approx(plain, rel=1e-3)


def test_covariance_looks_at_centered_features(tiny_encoder: Encoder) -> None:
    assert total(tiny_encoder, statistics="covariance") < total(tiny_encoder)


def test_luminance_keeps_the_photographs_chroma(tiny_encoder: Encoder) -> None:
    subject = studio(tiny_encoder, keep_color="luminance").prepare(Content(0, PHOTO))
    assert torch.equal(subject.photograph[:, 0], subject.photograph[:, 2])
    gray = torch.full_like(subject.photograph, 0.5)
    finished = subject.finish(gray)
    assert torch.allclose(luminance_of(finished), luminance_of(gray), atol=1e-5)
    difference = finished - to_batch([PHOTO])
    chroma = difference - luminance_of(difference)
    assert chroma.abs().mean() < (gray - to_batch([PHOTO])).abs().mean()


@pytest.mark.parametrize("keep_color", ["histogram", "cholesky"])
def test_the_painting_takes_the_photographs_colors_first(
    tiny_encoder: Encoder, keep_color: str
) -> None:
    dark = (PHOTO // 4).astype(np.uint8)
    subject = studio(tiny_encoder, keep_color=keep_color).prepare(Content(0, dark))
    (painting, _), *_ = subject.style.paintings
    mean = to_batch([dark]).mean(dim=(2, 3))
    assert torch.allclose(painting.mean(dim=(2, 3)), mean, atol=0.02)


def test_one_photographs_colors_do_not_leak_into_the_next(tiny_encoder: Encoder) -> None:
    shared = studio(tiny_encoder, keep_color="cholesky")
    shared.prepare(Content(0, (PHOTO // 4).astype(np.uint8)))
    after = shared.prepare(Content(0, PHOTO))
    alone = studio(tiny_encoder, keep_color="cholesky").prepare(Content(0, PHOTO))
    for layer, gram in after.style.target.regions[0].grams.items():
        assert torch.equal(gram, alone.style.target.regions[0].grams[layer])


def test_a_picture_by_tiles_has_the_objective_of_the_whole(tiny_encoder: Encoder) -> None:
    photo = noise(160, 272, 3)
    totals = []
    for settings in ({}, {"tile_px": 128}):
        subject = studio(tiny_encoder, **settings).prepare(Content(0, photo))
        totals.append(float(subject.objective(subject.photograph).total[0]))
    assert totals[1] == pytest.approx(totals[0], rel=1e-4)


def test_short_memory_means_tiles_and_plenty_means_none(
    tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = Content(0, noise(1024, 1024, 3))
    ours = studio(tiny_encoder)
    monkeypatch.setattr("stylecore.stylizer.subject.free_memory_bytes", lambda _: 64e9)
    assert ours.core_px(photo) is None
    monkeypatch.setattr("stylecore.stylizer.subject.free_memory_bytes", lambda _: 3.2e9)
    core_px = ours.core_px(photo)
    assert core_px is not None
    assert core_px < 1024
    masks = (np.full((1024, 1024), 255, np.uint8),)
    masked_px = ours.core_px(Content(0, photo.pixels, masks))
    assert masked_px is not None
    assert masked_px < core_px
    monkeypatch.setattr("stylecore.stylizer.subject.free_memory_bytes", lambda _: 1e8)
    with pytest.raises(OutOfMemoryError, match="lower max_side_px"):
        ours.core_px(photo)


def test_a_smoothed_network_takes_pictures_whole(tiny_encoder: Encoder) -> None:
    tiny_encoder.smoothing = "softmax"
    subject = studio(tiny_encoder, smoothing="softmax").prepare(Content(0, PHOTO))
    assert torch.isfinite(subject.objective(subject.photograph).total).all()
