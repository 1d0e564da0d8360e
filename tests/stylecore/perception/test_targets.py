import pytest
import torch
from style_targets import make_style_target
from torch.nn import functional

from stylecore.errors import JobError
from stylecore.perception.losses import gram_matrix, style_loss
from stylecore.perception.targets import (
    Painting,
    Region,
    StyleTarget,
    make_content_target,
    make_guides,
    make_region_target,
)

LAYERS = ["relu1_1", "relu3_1"]


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def grams_of(target: StyleTarget) -> dict[str, torch.Tensor]:
    """Of a style that is everywhere."""
    (region,) = target.regions
    assert not region.guides
    return dict(region.grams)


@pytest.fixture
def paintings() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.rand(1, 3, 16, side, generator=generator) for side in (16, 24, 32)]


def test_style_target_holds_the_gram_matrix_of_every_layer(tiny_encoder, paintings):
    target = make_style_target(tiny_encoder, [(paintings[0], 3.0)], LAYERS)
    expected = {n: gram_matrix(f) for n, f in tiny_encoder(paintings[0], LAYERS).items()}
    torch.testing.assert_close(grams_of(target), expected)


def test_only_the_ratios_of_weights_matter(tiny_encoder, paintings):
    blends = [
        make_style_target(tiny_encoder, list(zip(paintings[:2], weights, strict=True)), LAYERS)
        for weights in [(1.0, 3.0), (10.0, 30.0)]
    ]
    torch.testing.assert_close(grams_of(blends[0]), grams_of(blends[1]))


def test_blend_differs_from_the_weighted_losses_by_a_constant(tiny_encoder, paintings):
    """So both have the same gradient, and the same minimiser."""
    shares = (0.2, 0.5, 0.3)
    styles = list(zip(paintings, shares, strict=True))
    blend = make_style_target(tiny_encoder, styles, LAYERS)
    singles = [make_style_target(tiny_encoder, [(p, 1.0)], LAYERS) for p in paintings]
    pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    grams = {n: gram_matrix(f) for n, f in tiny_encoder(pictures, LAYERS).items()}
    for name in LAYERS:
        weighted = sum(
            share * style_loss(grams[name], grams_of(single)[name])
            for share, single in zip(shares, singles, strict=True)
        )
        excess = weighted - style_loss(grams[name], grams_of(blend)[name])
        assert excess[0] > 0
        torch.testing.assert_close(excess, excess[:1].expand(4), rtol=1e-3, atol=1e-7)


def test_targets_carry_no_graph(tiny_encoder, paintings):
    painting = paintings[0].requires_grad_(True)
    content = make_content_target(tiny_encoder, painting, LAYERS)
    style = make_style_target(tiny_encoder, [(painting, 1.0)], LAYERS)
    tensors = [*content.features.values(), *grams_of(style).values()]
    assert not any(tensor.requires_grad for tensor in tensors)


def test_content_target_selects_in_the_order_asked_for(tiny_encoder):
    contents = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(6))
    chosen = make_content_target(tiny_encoder, contents, LAYERS).select(torch.tensor([2, 0]))
    expected = make_content_target(tiny_encoder, contents[[2, 0]], LAYERS)
    torch.testing.assert_close(dict(chosen.features), dict(expected.features))


@pytest.mark.parametrize(
    "make", [make_content_target, lambda e, x, n: make_style_target(e, [(x, 1.0)], n)]
)
def test_unknown_layer_is_refused(make, tiny_encoder, paintings):
    with pytest.raises(JobError, match="relu9_1"):
        make(tiny_encoder, paintings[0], ["relu9_1"])


@pytest.mark.parametrize("size", [(19, 37), (5, 40)])
def test_guides_have_the_size_of_their_layers(tiny_encoder, size):
    layers = tiny_encoder.layer_names
    features = tiny_encoder(random(1, 3, *size, seed=39), layers)
    guides = make_guides(tiny_encoder, torch.full((2, 1, *size), 0.75), layers)
    for name, guide in guides.items():
        assert guide.shape == (2, 1, *features[name].shape[-2:])
        torch.testing.assert_close(guide, torch.full_like(guide, 0.75))


def test_a_mask_is_extended_as_its_picture_is(tiny_encoder):
    mask = random(1, 1, 5, 18, seed=44)
    extended = functional.pad(mask, (0, 0, 0, 11), mode="replicate")
    expected = make_guides(tiny_encoder, extended, LAYERS)
    torch.testing.assert_close(make_guides(tiny_encoder, mask, LAYERS), expected)
    torch.testing.assert_close(expected["relu1_1"], extended)


def test_only_the_part_under_its_mask_counts_of_a_painting(tiny_encoder):
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    left = random(1, 3, 16, 16, seed=40)
    other = left.clone()
    other[..., 9:] = 0  # what the kernel reaches of column 8 stays
    grams = []
    for image in (left, other):
        region = Region([Painting(image, 1.0, mask)])
        target = make_region_target(tiny_encoder, [region], ["relu1_1"])
        grams.append(target.regions[0].grams["relu1_1"])
    torch.testing.assert_close(grams[0], grams[1])
    whole = gram_matrix(tiny_encoder(left, ["relu1_1"])["relu1_1"])
    assert not torch.allclose(grams[0], whole)


def test_a_mask_that_does_not_fit_its_painting_is_refused(tiny_encoder):
    region = Region([Painting(random(1, 3, 16, 20, seed=41), 1.0, torch.ones(1, 1, 20, 16))])
    with pytest.raises(JobError, match=r"16 x 20 px and the painting 20 x 16 px"):
        make_region_target(tiny_encoder, [region], LAYERS)


def test_a_mask_that_leaves_nothing_of_a_painting_is_refused(tiny_encoder):
    region = Region([Painting(random(1, 3, 16, 16, seed=42), 1.0, torch.zeros(1, 1, 16, 16))])
    with pytest.raises(JobError, match="black all over"):
        make_region_target(tiny_encoder, [region], LAYERS)
