import pytest
import torch

from stylecore.errors import JobError
from stylecore.perception.losses import gram_matrix, style_loss
from stylecore.perception.targets import StyleTarget, make_content_target, make_style_target

LAYERS = ["relu1_1", "relu3_1"]


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
