"""Objectives of single pictures as that of a batch."""

import torch

from stylecore.perception.joining import join_objectives
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import (
    Painting,
    Region,
    make_content_target,
    make_region_target,
    place_regions,
)

LAYERS = ["relu1_1", "relu3_1"]
SIZE = (20, 24)


def rand(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def objective(encoder, seed: int, style) -> Objective:
    content = make_content_target(encoder, rand(1, 3, *SIZE, seed=seed), ["relu4_2"])
    return Objective(encoder, content, style, LossWeights(style=1e3, tv=0.1))


def check(objectives: list[Objective]) -> None:
    images = rand(len(objectives), 3, *SIZE, seed=7)
    together = join_objectives(objectives)(images)
    for place, single in enumerate(objectives):
        alone = single(images[place : place + 1])
        for name in ("total", "content", "style", "tv"):
            one = getattr(together, name)[place : place + 1]
            torch.testing.assert_close(one, getattr(alone, name))


def test_each_picture_keeps_its_content_and_all_share_the_style(tiny_encoder):
    encoder = tiny_encoder.double()
    region = Region([Painting(rand(1, 3, 24, 20, seed=9))])
    style = make_region_target(encoder, [region], LAYERS)
    objectives = [objective(encoder, seed, style) for seed in range(3)]
    check(objectives)
    gram = join_objectives(objectives).style.regions[0].grams["relu1_1"]
    assert gram is style.regions[0].grams["relu1_1"]


def test_pictures_whose_paintings_were_recolored_keep_their_own_statistics(tiny_encoder):
    encoder = tiny_encoder.double()
    styles = [
        make_region_target(encoder, [Region([Painting(rand(1, 3, 24, 20, seed=seed))])], LAYERS)
        for seed in (8, 9)
    ]
    check([objective(encoder, seed, style) for seed, style in enumerate(styles)])


def test_each_picture_keeps_the_places_of_its_regions(tiny_encoder):
    encoder = tiny_encoder.double()
    regions = [Region([Painting(rand(1, 3, 24, 20, seed=seed))]) for seed in (8, 9)]
    style = make_region_target(encoder, regions, LAYERS)
    masks = [[rand(1, 1, *SIZE, seed=10 * row + column) for column in (1, 2)] for row in (1, 2)]
    placed = [place_regions(encoder, style, pair) for pair in masks]
    partly = place_regions(encoder, style, [masks[0][0], None])
    everywhere = place_regions(encoder, style, [None, None])
    styles = [*placed, partly, everywhere]
    check([objective(encoder, seed, each) for seed, each in enumerate(styles)])
