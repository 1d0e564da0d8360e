"""Give a picture the colors of another, in closed form.

Three ways to move one palette to another, and one to keep a photograph's own colors after it was
stylized (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer",
arXiv:1606.05897). All work on sRGB values as they are, each picture of a batch by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from stylecore.types import ImageBatch

# Variance that counts as noise: a deviation of 0.01, about 2.5 of 256 levels. Without it the
# grain of a nearly flat or grey picture would be stretched to the whole range of the target.
_NOISE_VARIANCE = 1e-4

# Rec. 601, the luma of YIQ, which is made for sRGB values that are not linear in light.
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)

Luminance = Float[Tensor, "b 1 h w"]
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
    return _map_linearly(image, target, _transport)


def match_color_cholesky(image: ImageBatch, target: ImageBatch) -> ImageBatch:
    """As ``match_color``, by the map of Gatys et al. 2016 that is made of Cholesky factors.

    Mean and covariance come out the same; the map between them is lower triangular, so that red
    stays a function of red alone, green of red and green. The same noise is added.

    Args:
        image: pictures to recolor, shape (b, 3, h, w).
        target: pictures with the wanted colors, of any size; as many, or one for all.

    Returns:
        Shape, type and device of ``image``, clamped to [0, 1].
    """
    return _map_linearly(image, target, _triangular_map)


def match_histogram(image: ImageBatch, target: ImageBatch) -> ImageBatch:
    """Give each channel of ``image`` the distribution of values of that of ``target``.

    The monotone map between cumulative distributions (Gonzalez and Woods, "Digital Image
    Processing", histogram specification). A value stands for the middle of the ranks that it
    occupies, so that equal values stay equal and a picture matched to itself is unchanged.

    Args:
        image: pictures to recolor, shape (b, 3, h, w).
        target: pictures with the wanted colors, of any size; as many, or one for all.

    Returns:
        Shape, type and device of ``image``; values between the least and greatest of ``target``.
    """
    values = image.flatten(start_dim=2).contiguous()
    wanted = target.flatten(start_dim=2).sort(dim=2).values.expand(len(values), -1, -1)
    # In double precision: a rank of millions, halved, is no longer exact in single.
    ranks = _middle_ranks(values) * (wanted.shape[2] / values.shape[2]) - 0.5
    ranks = ranks.clamp(0, wanted.shape[2] - 1)
    below = ranks.long()
    above = (below + 1).clamp(max=wanted.shape[2] - 1)
    share = (ranks - below).to(image.dtype)
    matched = torch.lerp(wanted.gather(2, below), wanted.gather(2, above), share)
    return matched.reshape(image.shape)


def luminance_of(images: ImageBatch) -> Luminance:
    """Rec. 601 luma of pictures: shape (b, 3, h, w) to (b, 1, h, w), in [0, 1]."""
    weights = images.new_tensor(_LUMA_WEIGHTS).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def with_color_of(result: ImageBatch, content: ImageBatch) -> ImageBatch:
    """The luminance of ``result`` with the color of ``content``.

    Luminance-only transfer of Gatys et al. 2016: luma from one, chroma (here: what
    the channels differ from luma by, a linear transform of I and Q) from the other. Departure: a
    chroma that has no place in [0, 1] at its new luma is paled just so far as it needs, where
    clamping the channels would change luma and hue.

    Args:
        result: stylized pictures in [0, 1], shape (b, 3, h, w).
        content: their photographs in [0, 1], same shape.

    Returns:
        Shape (b, 3, h, w), in [0, 1].
    """
    luma = luminance_of(result)
    chroma = content - luminance_of(content)
    room = torch.where(chroma > 0, 1 - luma, luma)
    tiny = torch.finfo(chroma.dtype).tiny
    strength = (room / chroma.abs().clamp(min=tiny)).amin(dim=1, keepdim=True).clamp(max=1)
    return (luma + strength * chroma).clamp(0, 1)


def _map_linearly(
    image: ImageBatch,
    target: ImageBatch,
    find_map: Callable[[_Matrices, _Matrices], _Matrices],
) -> ImageBatch:
    mean, covariance = _color_statistics(image)
    target_mean, target_covariance = _color_statistics(target)
    color_map = find_map(covariance.double(), target_covariance.double()).to(image.dtype)
    moved = color_map @ (image.flatten(start_dim=2) - mean) + target_mean
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


def _triangular_map(source: _Matrices, target: _Matrices) -> _Matrices:
    """The lower triangular T with T source T^t = target: chol(target) chol(source)^-1."""
    source_factor, target_factor = torch.linalg.cholesky(source), torch.linalg.cholesky(target)
    result: _Matrices = torch.linalg.solve_triangular(
        source_factor, target_factor, upper=False, left=False
    )
    return result


def _middle_ranks(values: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n"]:
    """How many are less, plus half of how many are equal: in (0, n), in double precision."""
    ordered = values.sort(dim=2).values
    less = torch.searchsorted(ordered, values, side="left")
    not_greater = torch.searchsorted(ordered, values, side="right")
    return (less + not_greater).double() / 2
