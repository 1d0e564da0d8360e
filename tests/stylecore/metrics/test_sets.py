"""Set scores: against an independent computation, by tiles, and over parts."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from stylecore.metrics.frechet import Moments
from stylecore.metrics.sets import (
    SetFeatures,
    decode_parts,
    encode_parts,
    join_pictures,
    score_set,
)


def picture(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def moments(features: np.ndarray) -> Moments:
    """Of features, shape (n, c)."""
    values = torch.from_numpy(features)
    return Moments(values.mean(dim=0), values.T @ values / len(values))


@pytest.fixture
def clouds() -> list[np.ndarray]:
    """Features of four pictures and, last, of a painting."""
    generator = np.random.default_rng(0)
    mix = generator.normal(size=(5, 5))
    return [generator.normal(0.1 * k, 1, (300, 5)) @ mix for k in range(4)] + [
        generator.normal(1, 2, (500, 5))
    ]


def independent_frechet(reference: np.ndarray, other: np.ndarray) -> float:
    one, two = (np.cov(features.T, bias=True) for features in (reference, other))
    means = ((reference.mean(0) - other.mean(0)) ** 2).sum()
    return (means + np.trace(one + two - 2 * sqrtm(one @ two).real)) / np.trace(one)


def test_fd_vgg_is_the_frechet_distance_between_all_positions_of_the_set_and_of_the_painting(
    clouds,
):
    painting = moments(clouds[-1])
    scores = score_set([join_pictures([(moments(c), painting, 0.5)]) for c in clouds[:-1]])
    expected = independent_frechet(clouds[-1], np.concatenate(clouds[:-1]))
    assert scores.fd_vgg.value == pytest.approx(expected, rel=1e-6)
    assert scores.pictures == 4


def test_art_fd_is_the_product_with_the_mean_lpips(clouds):
    painting = moments(clouds[-1])
    distances = (0.1, 0.2, 0.3, 0.8)
    pairs = zip(clouds[:-1], distances, strict=True)
    scores = score_set([join_pictures([(moments(c), painting, d)]) for c, d in pairs])
    assert scores.art_fd.value == pytest.approx(1.35 * (1 + scores.fd_vgg.value))


def test_art_fd_is_not_defined_where_lpips_is_not_known_of_every_picture(clouds):
    painting = moments(clouds[-1])
    parts = [
        join_pictures([(moments(c), painting, d)])
        for c, d in zip(clouds[:2], (0.1, None), strict=True)
    ]
    scores = score_set(parts)
    assert scores.art_fd is None
    assert math.isfinite(scores.fd_vgg.value)


def test_how_pictures_are_grouped_does_not_change_the_score(clouds):
    painting = moments(clouds[-1])
    each = [(moments(c), painting, 0.1 * k) for k, c in enumerate(clouds[:-1])]
    alone = score_set([join_pictures([one]) for one in each])
    uneven = score_set([join_pictures(each[:3]), join_pictures(each[3:])])
    assert uneven.fd_vgg.value == pytest.approx(alone.fd_vgg.value)
    assert uneven.art_fd.value == pytest.approx(alone.art_fd.value)


def test_the_interval_holds_the_value_and_is_the_same_each_time(clouds):
    painting = moments(clouds[-1])
    parts = [join_pictures([(moments(c), painting, 0.5)]) for c in clouds[:-1]]
    scores = score_set(parts)
    assert scores == score_set(parts)
    assert scores.fd_vgg.low < scores.fd_vgg.value < scores.fd_vgg.high
    single = score_set(parts[:1])
    assert (single.fd_vgg.low, single.fd_vgg.high) == (None, None)


def test_parts_come_back_from_their_file_as_they_were(clouds):
    painting = moments(clouds[-1])
    parts = [join_pictures([(moments(c), painting, None)]) for c in clouds[:2]]
    back = decode_parts(encode_parts(parts))
    assert [part.count for part in back] == [1, 1]
    assert math.isnan(back[0].lpips)
    for part, again in zip(parts, back, strict=True):
        torch.testing.assert_close(again.pictures.product, part.pictures.product, rtol=1e-6, atol=0)
        torch.testing.assert_close(again.paintings.mean, part.paintings.mean, rtol=1e-6, atol=0)
    assert decode_parts(encode_parts([])) == []


def test_a_picture_by_tiles_has_the_moments_of_the_whole_one(tiny_encoder, monkeypatch):
    features = SetFeatures(tiny_encoder)
    image = picture(1, 120, 150)
    whole = features.moments(image)
    monkeypatch.setattr("stylecore.metrics.sets._CORE_PX", 48)
    tiled = features.moments(image)
    torch.testing.assert_close(tiled.mean, whole.mean, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(tiled.product, whole.product, rtol=1e-5, atol=1e-7)


def test_moments_are_those_of_every_position_of_relu3_3(tiny_encoder):
    image = picture(2)
    cells = tiny_encoder(image, ["relu3_3"])["relu3_3"][0].flatten(1).double()
    found = SetFeatures(tiny_encoder).moments(image)
    torch.testing.assert_close(found.mean, cells.mean(dim=1), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(
        found.covariance(), torch.cov(cells, correction=0), rtol=1e-3, atol=1e-6
    )


def test_a_tiny_picture_has_moments_too(tiny_encoder):
    assert torch.isfinite(SetFeatures(tiny_encoder).moments(picture(3, 1, 5)).mean).all()
