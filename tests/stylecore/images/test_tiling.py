"""Tiles on all kinds of sizes, against the whole picture."""

from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.images.tiling import (
    ALIGNMENT_PX,
    Tile,
    add_tile,
    drop_halo,
    plan_tiles,
    take_core,
    take_tile,
)
from stylecore.perception.encoder import Encoder
from stylecore.types import FeatureMap, ImageBatch

SIDES = st.integers(1, 300)
MULTIPLES = st.integers(1, 8).map(lambda count: count * ALIGNMENT_PX)
STRIDES = {"relu1_1": 1, "relu2_1": 2, "relu3_1": 4, "relu4_2": 8, "relu5_1": 16}
VGG_HALO_PX = 64  # relu5_1 reaches 58 px


def for_all_tilings(test: Callable[..., None]) -> Callable[..., None]:
    """Give it height, width, core and halo; without a deadline, since the first call is slow."""
    return settings(deadline=None)(given(SIDES, SIDES, MULTIPLES, MULTIPLES)(test))


def random_images(height: int, width: int, count: int = 1) -> ImageBatch:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def products(features: Mapping[str, FeatureMap]) -> torch.Tensor:
    """Products of all pairs of channels, summed over the pixels, one layer after another."""
    flat = [features[name].flatten(2) for name in STRIDES]
    return torch.cat([layer @ layer.mT for layer in flat])


def core_products(encoder: Encoder, seen: ImageBatch, tile: Tile) -> torch.Tensor:
    features = encoder(seen, list(STRIDES))
    cores = {name: drop_halo(features[name], tile, stride) for name, stride in STRIDES.items()}
    return products(cores)


@for_all_tilings
def test_every_pixel_is_in_exactly_one_core(height, width, core_px, halo_px):
    owners = torch.zeros(1, 1, height, width)
    for tile in plan_tiles(height, width, core_px, halo_px):
        take_core(owners, tile, 1).add_(1)
    assert (owners == 1).all()


@for_all_tilings
def test_a_tile_sees_its_halo_as_far_as_the_picture_goes(height, width, core_px, halo_px):
    for tile in plan_tiles(height, width, core_px, halo_px):
        for span, side in ((tile.rows, height), (tile.columns, width)):
            assert 0 < span.core_stop - span.core_start <= core_px
            assert span.start == max(0, span.core_start - halo_px)
            assert span.stop == min(side, span.core_stop + halo_px)


@for_all_tilings
def test_inner_edges_are_aligned_with_pooling(height, width, core_px, halo_px):
    for tile in plan_tiles(height, width, core_px, halo_px):
        for span, side in ((tile.rows, height), (tile.columns, width)):
            assert span.start % ALIGNMENT_PX == span.core_start % ALIGNMENT_PX == 0
            assert span.stop == side or span.stop % ALIGNMENT_PX == 0


@settings(deadline=None)
@given(SIDES, MULTIPLES)
def test_cores_are_nearly_equal_and_as_few_as_can_be(side, core_px):
    spans = [tile.columns for tile in plan_tiles(1, side, core_px, ALIGNMENT_PX)]
    sizes = [span.core_stop - span.core_start for span in spans]
    assert len(sizes) == -(-side // core_px)
    assert max(sizes) - min(sizes) < 2 * ALIGNMENT_PX


@for_all_tilings
def test_giving_and_taking_are_transposes_of_each_other(height, width, core_px, halo_px):
    """Inner products agree: what makes a sum of tiles' gradients the picture's gradient."""
    images = random_images(height, width).double()
    total, by_tiles = torch.zeros_like(images), 0.0
    for tile in plan_tiles(height, width, core_px, halo_px):
        taken = take_tile(images, tile)
        given_back = torch.full_like(taken, tile.rows.start + 0.5)
        add_tile(total, tile, given_back)
        by_tiles += float((taken * given_back).sum())
    assert float((total * images).sum()) == pytest.approx(by_tiles)


@pytest.mark.parametrize(("core_px", "halo_px"), [(0, 16), (24, 16), (32, 0), (32, 20), (-16, 16)])
def test_sizes_that_are_not_aligned_are_refused(core_px, halo_px):
    with pytest.raises(ValueError, match="positive multiple of 16"):
        plan_tiles(100, 100, core_px, halo_px)


@pytest.mark.parametrize(("height", "width"), [(16, 200), (131, 250), (96, 112), (255, 161)])
def test_features_of_the_cores_are_those_of_the_whole_picture(tiny_encoder, height, width):
    images = random_images(height, width)
    whole = tiny_encoder(images, list(STRIDES))
    for tile in plan_tiles(height, width, 48, VGG_HALO_PX):
        seen = tiny_encoder(take_tile(images, tile), list(STRIDES))
        for name, stride in STRIDES.items():
            core = drop_halo(seen[name], tile, stride)
            torch.testing.assert_close(core, take_core(whole[name], tile, stride))


@pytest.mark.parametrize(("height", "width"), [(131, 250), (96, 112)])
def test_the_gradient_of_shared_statistics_is_the_sum_over_tiles(tiny_encoder, height, width):
    """Statistics are summed over cores first, then held while each tile gives its part."""
    images = random_images(height, width).requires_grad_()
    tiles = plan_tiles(height, width, 48, VGG_HALO_PX)
    statistics = products(tiny_encoder(images, list(STRIDES)))
    (expected,) = torch.autograd.grad(statistics.square().sum(), images)

    shared = sum(core_products(tiny_encoder, take_tile(images, tile), tile) for tile in tiles)
    torch.testing.assert_close(shared, statistics)
    slope = 2 * shared.detach()
    gradient = torch.zeros_like(images)
    for tile in tiles:
        seen = take_tile(images.detach(), tile).requires_grad_()
        part = (slope * core_products(tiny_encoder, seen, tile)).sum()
        add_tile(gradient, tile, torch.autograd.grad(part, seen)[0])
    torch.testing.assert_close(gradient, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
