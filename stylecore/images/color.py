"""Give a picture the colors of another, in closed form."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stylecore.types import ImageBatch

# Variance that counts as noise: a deviation of 0.01, about 2.5 of 256 levels. Without it the
# grain of a nearly flat or grey picture would be stretched to the whole range of the target.
_NOISE_VARIANCE = 1e-4

_Means = Float[Tensor, "b 3 1"]
_Matrices = Float[Tensor, "b 3 3"]


def match_color(image: ImageBatch, target: ImageBatch) -> ImageBatch:
    """Map the colors of ``image`` linearly to the mean and covariance of those of ``target``.

    Of all linear maps that do so, this one moves the colors least (the Monge-Kantorovich map of
    Pitie and Kokaram 2007, doi:10.1049/cp:20070055), and unlike a Cholesky factor it does not
    depend on the order of the channels. Departure: noise is added to both covariances, so that
    flat pictures have a map too.

    Args:
        image: pictures to recolor, shape (b, 3, h, w).
        target: pictures with the wanted colors, of any size; as many, or one for all.

    Returns:
        Shape, type and device of ``image``, clamped to [0, 1].
    """
    mean, covariance = _color_statistics(image)
    target_mean, target_covariance = _color_statistics(target)
    transport = _transport(covariance.double(), target_covariance.double()).to(image.dtype)
    moved = transport @ (image.flatten(start_dim=2) - mean) + target_mean
    return moved.reshape(image.shape).clamp(0, 1)


def _color_statistics(image: ImageBatch) -> tuple[_Means, _Matrices]:
    colors = image.flatten(start_dim=2)
    mean = colors.mean(dim=2, keepdim=True)
    centered = colors - mean
    noise = _NOISE_VARIANCE * torch.eye(3, dtype=colors.dtype, device=colors.device)
    return mean, centered @ centered.mT / colors.shape[2] + noise


def _transport(source: _Matrices, target: _Matrices) -> _Matrices:
    """The symmetric T with T source T = target: S^-1/2 (S^1/2 target S^1/2)^1/2 S^-1/2."""
    root, inverse_root = _power(source, 0.5), _power(source, -0.5)
    return inverse_root @ _power(root @ target @ root, 0.5) @ inverse_root


def _power(matrix: _Matrices, exponent: float) -> _Matrices:
    values, vectors = torch.linalg.eigh(matrix)
    # Rounding may leave a tiny eigenvalue negative; the added noise keeps the true one above 0.
    powers = values.clamp(min=_NOISE_VARIANCE**2).pow(exponent)
    result: _Matrices = vectors * powers.unsqueeze(1) @ vectors.mT
    return result
