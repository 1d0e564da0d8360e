"""Regions of a picture that take different styles, at the targets and in the objective."""

import numpy as np
import pytest
import torch
from style_targets import make_style_target

from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import (
    Painting,
    Region,
    StyleTarget,
    make_content_target,
    make_region_target,
    place_regions,
)

CONTENT_LAYERS = ["relu2_2", "relu4_2"]
STYLE_LAYERS = ["relu1_1", "relu3_1"]
WEIGHTS = LossWeights(
    content=2.0, style=30.0, content_layers={"relu4_2": 0.25}, style_layers={"relu3_1": 5.0}
)


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def contents() -> torch.Tensor:
    return random(3, 3, 16, 24, seed=31)


@pytest.fixture
def pictures() -> torch.Tensor:
    return random(3, 3, 16, 24, seed=32)


@pytest.fixture
def regions() -> list[Region]:
    """A blend of two paintings, of one of which only a part counts, and one painting."""
    half = torch.zeros(1, 1, 32, 16)
    half[..., :8] = 1
    blend = [
        Painting(random(1, 3, 20, 16, seed=33), 1.0),
        Painting(random(1, 3, 32, 16, seed=34), 3.0, half),
    ]
    return [Region(blend, weight=2.0), Region([Painting(random(1, 3, 16, 16, seed=35))])]


@pytest.fixture
def masks() -> list[torch.Tensor]:
    """Of the first region another for every picture, of the second one for all."""
    return [random(3, 1, 16, 24, seed=36), random(1, 1, 16, 24, seed=37)]


def make_objective(encoder, contents, style: StyleTarget) -> Objective:
    return Objective(
        encoder, make_content_target(encoder, contents, CONTENT_LAYERS), style, WEIGHTS
    )


def placed(encoder, regions, masks, is_centred=False) -> StyleTarget:
    target = make_region_target(encoder, regions, STYLE_LAYERS, is_centred)
    return place_regions(encoder, target, masks)


def statistics(features: np.ndarray, guide: np.ndarray, is_centred: bool) -> np.ndarray:
    """Weighted covariance or second moment of one image, divided by its channels."""
    flat, weights = features.reshape(len(features), -1), guide.reshape(-1) ** 2
    if is_centred:
        return np.cov(flat, aweights=weights, bias=True) / len(flat)
    return np.einsum("n,in,jn->ij", weights, flat, flat) / weights.sum() / len(flat)


def shrink(mask: torch.Tensor, factor: int) -> np.ndarray:
    """Mean of every ``factor`` x ``factor`` pixels."""
    height, width = mask.shape
    blocks = mask.double().numpy().reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3))


@pytest.mark.parametrize("is_centred", [False, True])
def test_objective_of_regions_equals_an_independent_computation(
    tiny_encoder, contents, pictures, regions, masks, is_centred
):
    objective = make_objective(
        tiny_encoder, contents, placed(tiny_encoder, regions, masks, is_centred)
    )
    layers = [*CONTENT_LAYERS, *STYLE_LAYERS]
    features = {n: f.double().numpy() for n, f in tiny_encoder(pictures, layers).items()}
    wanted = {n: f.double().numpy() for n, f in tiny_encoder(contents, layers).items()}
    value = objective(pictures)
    for image in range(3):
        content = sum(
            weight * ((features[name][image] - wanted[name][image]) ** 2).mean()
            for name, weight in [("relu2_2", 1), ("relu4_2", 0.25)]
        )
        style = 0.0
        for (name, factor, layer_weight), (region, mask) in [
            (layer, pair)
            for layer in [("relu1_1", 1, 1), ("relu3_1", 4, 5)]
            for pair in zip(regions, masks, strict=True)
        ]:
            guide = shrink(mask[image % len(mask), 0], factor)
            found = statistics(features[name][image], guide, is_centred)
            target = np.zeros_like(found)
            total_weight = sum(painting.weight for painting in region.paintings)
            for painting in region.paintings:
                part = tiny_encoder(painting.image, [name])[name][0].double().numpy()
                whole = torch.ones(painting.image.shape[-2:])
                seen = whole if painting.mask is None else painting.mask[0, 0]
                gram = statistics(part, shrink(seen, factor), is_centred)
                target += gram * painting.weight / total_weight
            share = (guide**2).mean()
            style += region.weight * layer_weight * share * ((found - target) ** 2).mean()
        assert value.content[image].item() == pytest.approx(content, rel=1e-4)
        assert value.style[image].item() == pytest.approx(style, rel=1e-4)
        assert value.total[image].item() == pytest.approx(2 * content + 30 * style, rel=1e-4)


@pytest.mark.parametrize("is_centred", [False, True])
@pytest.mark.parametrize("mask", [None, torch.ones(1, 1, 16, 24), torch.ones(3, 1, 16, 24)])
def test_one_region_everywhere_equals_a_style_without_regions(
    tiny_encoder, contents, pictures, mask, is_centred
):
    painting = random(1, 3, 20, 16, seed=33)
    style = make_style_target(tiny_encoder, [(painting, 1.0)], STYLE_LAYERS, is_centred)
    region = Region([Painting(painting, 7.0, torch.ones(1, 1, 20, 16))])
    targets = [style, placed(tiny_encoder, [region], [mask], is_centred)]
    totals, gradients = [], []
    for target in targets:
        images = pictures.clone().requires_grad_(True)
        total = make_objective(tiny_encoder, contents, target)(images).total
        total.sum().backward()
        totals.append(total.detach())
        gradients.append(images.grad)
    torch.testing.assert_close(totals[1], totals[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-7)


def test_centred_statistics_are_compared_with_centred_ones(tiny_encoder):
    painting = random(1, 3, 16, 16, seed=33)
    style = make_style_target(tiny_encoder, [(painting, 1.0)], STYLE_LAYERS, is_centred=True)
    assert make_objective(tiny_encoder, painting, style)(painting).style.item() < 1e-12


def test_a_part_that_no_region_takes_gets_no_style(tiny_encoder, pictures):
    mask = torch.zeros(1, 1, 16, 24)
    mask[..., 12:] = 1
    region = Region([Painting(random(1, 3, 16, 16, seed=33))])
    target = make_region_target(tiny_encoder, [region], ["relu1_1"])
    style = place_regions(tiny_encoder, target, [mask])
    images = pictures.clone().requires_grad_(True)
    make_objective(tiny_encoder, pictures, style)(images).style.sum().backward()
    assert not images.grad[..., :11].any()  # one pixel further is in the kernel's reach
    assert (images.grad[..., 12:].abs().sum(dim=1) > 0).float().mean() > 0.9


def test_a_pixel_of_a_small_region_feels_the_style_as_strongly_as_one_of_a_large_one(
    tiny_encoder, pictures
):
    """The picture repeats itself 16 times across, so that all parts are alike."""
    tiled = pictures[:1, :, :, :8].repeat(1, 1, 1, 16)
    painting = random(1, 3, 16, 16, seed=33)
    whole = make_style_target(tiny_encoder, [(painting, 1.0)], ["relu1_1"])
    mask = torch.zeros(1, 1, 16, 128)
    mask[..., 8:16] = 1
    region = make_region_target(tiny_encoder, [Region([Painting(painting)])], ["relu1_1"])
    gradients = []
    for style in (whole, place_regions(tiny_encoder, region, [mask])):
        images = tiled.clone().requires_grad_(True)
        make_objective(tiny_encoder, tiled, style)(images).style.sum().backward()
        gradients.append(images.grad[..., 10:14])
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert difference < 0.1  # the edges of the picture have a little part in the whole


def test_an_empty_region_has_no_say(tiny_encoder, contents, pictures, regions, masks):
    empty = [torch.zeros(3, 1, 16, 24), masks[1]]
    images = pictures.clone().requires_grad_(True)
    found = make_objective(tiny_encoder, contents, placed(tiny_encoder, regions, empty))(images)
    found.total.sum().backward()
    alone = make_objective(tiny_encoder, contents, placed(tiny_encoder, regions[1:], masks[1:]))
    torch.testing.assert_close(found.total.detach(), alone(pictures).total)
    assert images.grad.isfinite().all()


def test_permuting_the_batch_permutes_losses_and_gradients(
    tiny_encoder, contents, pictures, regions, masks
):
    objective = make_objective(tiny_encoder, contents, placed(tiny_encoder, regions, masks))
    results = []
    for order in ([0, 1, 2], [2, 0, 1]):
        images = pictures[order].clone().requires_grad_(True)
        total = objective.select(order)(images).total
        total.sum().backward()
        results.append((total.detach(), images.grad))
    (totals, gradients), (permuted_totals, permuted_gradients) = results
    torch.testing.assert_close(permuted_totals, totals[[2, 0, 1]])
    torch.testing.assert_close(permuted_gradients, gradients[[2, 0, 1]])
    assert totals.unique().numel() == 3


def test_a_picture_alone_keeps_its_own_masks(tiny_encoder, contents, pictures, regions, masks):
    objective = make_objective(tiny_encoder, contents, placed(tiny_encoder, regions, masks))
    own = [masks[0][2:], masks[1]]
    alone = make_objective(tiny_encoder, contents[2:], placed(tiny_encoder, regions, own))
    part = objective.select([2])(pictures[2:]).total
    torch.testing.assert_close(part, alone(pictures[2:]).total)
    torch.testing.assert_close(part, objective(pictures).total[2:])


@pytest.mark.parametrize("smoothing", ["none", "softmax"])
@pytest.mark.parametrize("is_centred", [False, True])
def test_gradient_agrees_with_finite_differences_in_double_precision(
    tiny_encoder, regions, masks, is_centred, smoothing
):
    contents, pictures = random(6, 3, 16, 24, seed=43).split(3)
    encoder = tiny_encoder.double()
    encoder.smoothing = smoothing
    regions = [Region([_double(p) for p in region.paintings], region.weight) for region in regions]
    style = placed(encoder, regions, [mask.double() for mask in masks], is_centred)
    objective = make_objective(encoder, contents.double(), style)
    images = pictures.double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: objective(x).total, (images,), fast_mode=True)


def _double(painting: Painting) -> Painting:
    mask = None if painting.mask is None else painting.mask.double()
    return Painting(painting.image.double(), painting.weight, mask)


def test_gradient_of_regions_is_right_pixel_by_pixel(tiny_encoder, regions, masks):
    encoder = tiny_encoder.double()
    regions = [Region([_double(p) for p in region.paintings], region.weight) for region in regions]
    style = placed(encoder, regions, [mask[:1].double() for mask in masks], is_centred=True)
    content, image = random(2, 3, 16, 24, seed=38).double().split(1)
    objective = make_objective(encoder, content, style)

    def total_of(patch: torch.Tensor) -> torch.Tensor:
        images = image.clone()
        images[..., 5:8, 6:10] = patch
        return objective(images).total

    patch = image[..., 5:8, 6:10].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(total_of, (patch,))


def test_statistics_are_shared_by_the_pictures_that_they_are_placed_in(
    tiny_encoder, regions, masks
):
    target = make_region_target(tiny_encoder, regions, STYLE_LAYERS)
    style = place_regions(tiny_encoder, target, masks)
    assert style.regions[0].grams is target.regions[0].grams
    assert not target.regions[0].guides
    unplaced = place_regions(tiny_encoder, style, [None, None])
    assert not any(region.guides for region in unplaced.regions)


def test_a_mask_is_needed_for_every_region(tiny_encoder, regions):
    target = make_region_target(tiny_encoder, regions, STYLE_LAYERS)
    with pytest.raises(ValueError, match="zip"):
        place_regions(tiny_encoder, target, [None])
