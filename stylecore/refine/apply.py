"""Refine one picture behind the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stylecore.images.tensors import crop, pad_to_minimum
from stylecore.refine.gate import ALPHAS, GateChoice, choose_alpha
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Refiner
from stylecore.types import ImageBatch, Mask


@dataclass(frozen=True, eq=False)
class Refined:
    """A picture that went through the gate.

    Attributes:
        picture: in steps of 1/255, shape (1, 3, h, w); the stylized one where it was rejected.
        choice: the strength, and the figures before and after.
    """

    picture: ImageBatch
    choice: GateChoice


@torch.inference_mode()
def refine_picture(
    refiner: Refiner,
    stylized: ImageBatch,
    content: ImageBatch,
    measures: GateMeasures,
    alphas: Sequence[float] = ALPHAS,
    where: Mask | None = None,
) -> Refined:
    """The picture at the strength that the gate allows.

    Args:
        refiner: of the style.
        stylized: in [0, 1], shape (1, 3, h, w), of any size.
        content: its photograph, same shape.
        measures: of this style, at the picture's size.
        alphas: strengths above 0 to try: one, where it was chosen for the style.
        where: how far each pixel may change, in [0, 1], shape (1, 1, h, w); None is fully.

    Returns:
        ``stylized`` itself, or a picture whose texture is at least 5 % closer to the paintings',
        while its LPIPS is at most 3 % higher and its SSIM at most 3 % lower.
    """
    candidates = refine_at_strengths(refiner, stylized, content, alphas, where)
    before = measures.measure(stylized, content)
    figures = {alpha: measures.measure(picture, content) for alpha, picture in candidates.items()}
    choice = choose_alpha(before, figures)
    return Refined(candidates.get(choice.alpha, stylized), choice)


@torch.inference_mode()
def refine_at_strengths(
    refiner: Refiner,
    stylized: ImageBatch,
    content: ImageBatch,
    alphas: Sequence[float],
    where: Mask | None = None,
) -> dict[float, ImageBatch]:
    """The picture at every strength, in steps of 1/255 as a file will have it.

    One pass through the network; arguments as for ``refine_picture``.
    """
    height, width = stylized.shape[-2:]
    change = refiner.residual(pad_to_minimum(stylized), pad_to_minimum(content))
    change = crop(change, height, width)
    if where is not None:
        change = change * where
    return {
        alpha: (stylized + alpha * change).clamp(0, 1).mul(255).round().div(255) for alpha in alphas
    }
