"""Perceptual losses as plain functions of tensors, one value an image, never summed over a batch.

Two departures from Gatys et al. 2016 (arXiv:1508.06576), both so that a weight means the same
at every image size: means replace sums, and the Gram matrix is divided by channels times pixels.
"""

from __future__ import annotations

from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function, FunctionCtx

from stylecore.types import FeatureMap, GramMatrix, ImageBatch, Mask, PerImage

# Keeps a mask that is zero everywhere from dividing by zero; far below one pixel's share.
_LEAST_ENERGY = 1e-12


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


def gram_matrix(
    features: FeatureMap, guide: Mask | None = None, is_centred: bool = False
) -> GramMatrix:
    """Average product of every pair of channels over all pixels, or over those of a guide.

    A guided Gram matrix is that of Gatys et al. 2017 (arXiv:1611.07865): features times guide,
    divided by the guide's energy, so that a guide of ones changes nothing.

    Args:
        features: activations, shape (b, c, h, w).
        guide: how far each pixel belongs, in [0, 1]; where it is zero throughout, so is the result.
        is_centred: whether each channel's mean, weighted as the products are, is taken off first:
            the covariance, which leaves the mean brightness and colour of the style out.

    Returns:
        Symmetric, positive semi-definite, shape (b, c, c), divided by c * h * w (with a guide, by
        c times its sum of squares).
    """
    flat = features.flatten(start_dim=2)
    channels, pixels = flat.shape[-2:]
    if guide is None:
        if is_centred:
            flat = flat - _without_gradient(flat).mean(dim=-1, keepdim=True)
        return _product_with_itself(flat) / (channels * pixels)
    guide = guide.flatten(start_dim=2)
    energy = guide.square().sum(dim=-1, keepdim=True).clamp_min(_LEAST_ENERGY)
    if is_centred:
        flat = flat - _without_gradient(flat) @ guide.square().mT / energy
    return _product_with_itself(flat * guide) / (channels * energy)


def _product_with_itself(flat: Tensor) -> GramMatrix:
    product: Tensor = _ProductWithItself.apply(flat)
    return product


def _without_gradient(flat: Tensor) -> Tensor:
    """For a covariance's mean, where this is exact, and saves a pass.

    Products of deviations are least, in sum, about the mean: moving it changes nothing in first
    order.
    """
    return flat.detach()


def content_loss(features: FeatureMap, target: FeatureMap, power: float = 1.0) -> PerImage:
    """Mean squared difference of feature maps.

    Args:
        features: activations of the pictures, shape (b, c, h, w).
        target: activations of their contents, same shape.
        power: of the power mean over the places of a picture; above 1, a difference that is large
            in few places costs more than the same spread over all.

    Returns:
        Non-negative, shape (b,).
    """
    if power == 1:
        return _mean_square(features - target)
    local = (features - target).square().mean(dim=1) + _LEAST_ENERGY
    largest = local.detach().amax(dim=(1, 2))  # no power of a share of it leaves the range
    shares = (local / largest[:, None, None]).pow(power).mean(dim=(1, 2))
    return largest * shares.pow(1 / power)


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
