"""Several pictures' objectives as that of one batch, so that they go through the network together.

What is the same for all of them, as a style's statistics are, is kept once; what is not is stacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from stylecore.perception.objective import Objective
from stylecore.perception.targets import ContentTarget, RegionTarget
from stylecore.types import FeatureMap, GramMatrix, Mask


def join_objectives(objectives: Sequence[Objective]) -> Objective:
    """The objective of a batch whose pictures have those ``objectives``, in their order.

    Args:
        objectives: at least one; each of one picture, all of the same size, encoder, layers,
            weights and number of regions.
    """
    first = objectives[0]
    if len(objectives) == 1:
        return first
    content = _stack([objective.content.features for objective in objectives])
    regions = zip(*(objective.style.regions for objective in objectives), strict=True)
    style = replace(first.style, regions=tuple(map(_join_regions, regions)))
    return replace(first, content=ContentTarget(content), style=style)


def _join_regions(regions: Sequence[RegionTarget]) -> RegionTarget:
    grams: dict[str, GramMatrix] = {
        name: _shared_or_stacked([region.grams[name] for region in regions])
        for name in regions[0].grams
    }
    placed = next((region.guides for region in regions if region.guides), None)
    if placed is None:
        return replace(regions[0], grams=grams)
    # A region without guides is everywhere, among others whose place is known.
    everywhere = {name: torch.ones_like(guide) for name, guide in placed.items()}
    guides = _stack([region.guides or everywhere for region in regions])
    return replace(regions[0], grams=grams, guides=guides)


def _stack(parts: Sequence[Mapping[str, FeatureMap | Mask]]) -> dict[str, FeatureMap | Mask]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _shared_or_stacked(grams: Sequence[GramMatrix]) -> GramMatrix:
    return grams[0] if all(gram is grams[0] for gram in grams) else torch.cat(list(grams))
