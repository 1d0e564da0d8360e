"""How good one picture is: the losses it was made for, and how much of its content is left.

LPIPS is the ``lpips`` package on our VGG-16 and the shipped heads, so nothing is downloaded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import lpips
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from stylecore.images.tensors import pad_to_minimum
from stylecore.perception.encoder import Encoder
from stylecore.perception.objective import Objective
from stylecore.perception.weights import load_lpips_heads
from stylecore.types import FeatureMap, ImageBatch

_LPIPS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_SSIM_WINDOW_PX = 11
# How much of a picture is compared at once: the measure takes 700 bytes a pixel.
_BAND_PX = 2**18
_LEAST_BAND_ROWS = 64  # so that the rows seen twice are few, however wide a picture is


@dataclass(frozen=True)
class QualityScores:
    """The measured quality of one picture; None where a measure is not defined.

    Attributes:
        content_loss: not weighted; 0 is the photograph itself.
        style_loss: not weighted; 0 is the style's statistics.
        total_loss: the objective.
        lpips_content: LPIPS distance from the photograph; 0 is identical.
        ssim_content: structural similarity to the photograph, at most 1; None under 11 px.
        psnr_content: peak signal-to-noise ratio in dB; None for identical pictures.
    """

    content_loss: float | None
    style_loss: float | None
    total_loss: float | None
    lpips_content: float | None
    ssim_content: float | None
    psnr_content: float | None


class LpipsTrunk(nn.Module):
    """Our VGG-16 in the place of the one that the ``lpips`` package would build.

    Args:
        encoder: shared, not copied.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, normalized: Tensor) -> Sequence[FeatureMap]:
        """Feature maps of the five layers that LPIPS compares."""
        features = self.encoder.encode_normalized(normalized, _LPIPS_LAYERS)
        return [features[name] for name in _LPIPS_LAYERS]


def build_lpips(encoder: Encoder) -> nn.Module:
    """LPIPS v0.1 (Zhang et al. 2018) on the encoder's device, sharing its weights.

    Args:
        encoder: VGG-16 with its default weights and max pooling; the heads fit no other.

    Returns:
        Module of two image batches, to be called with ``normalize=True`` for pixels in [0, 1].

    Raises:
        JobError: the shipped heads are damaged.
    """
    # On the meta device its own VGG-16, which we replace, takes neither time nor memory.
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        distance: nn.Module = lpips.LPIPS(
            net="vgg", pretrained=False, pnet_rand=True, verbose=False
        )
    distance.net = LpipsTrunk(encoder)
    heads = {f"{name}.model.1.weight": head for name, head in load_lpips_heads().items()}
    distance.load_state_dict(heads, strict=False, assign=True)
    return distance.requires_grad_(False).to(encoder.mean.device)


@torch.inference_mode()
def score_picture(
    content: ImageBatch, picture: ImageBatch, objective: Objective, distance: nn.Module
) -> QualityScores:
    """Quality of one picture.

    Args:
        content: the photograph at the picture's size, shape (1, 3, h, w).
        picture: shape (1, 3, h, w).
        objective: made for this photograph and the style.
        distance: from ``build_lpips``.
    """
    padded_content = pad_to_minimum(content)
    padded_picture = pad_to_minimum(picture)
    losses = objective(padded_picture)
    return QualityScores(
        content_loss=_finite(losses.content),
        style_loss=_finite(losses.style),
        total_loss=_finite(losses.total),
        lpips_content=_finite(distance(padded_picture, padded_content, normalize=True)),
        ssim_content=ssim(picture, content),
        psnr_content=_finite(peak_signal_noise_ratio(picture, content, data_range=1.0)),
    )


@torch.inference_mode()
def ssim(picture: ImageBatch, content: ImageBatch) -> float | None:
    """Structural similarity (Wang et al. 2004) of one picture to its photograph.

    By bands of rows: their parts of the map, whose mean it is, in the memory of one band.

    Args:
        picture: in [0, 1], shape (1, 3, h, w).
        content: same shape.

    Returns:
        At most 1, for the photograph itself; None under 11 px, and where it is not finite.
    """
    height, width = picture.shape[-2:]
    if min(height, width) < _SSIM_WINDOW_PX:
        return None
    band_rows = max(_LEAST_BAND_ROWS, _BAND_PX // width)
    total = 0.0
    for start in range(0, height, band_rows):
        stop = min(start + band_rows, height)
        total += _sum_similarity(picture, content, start, stop)
    similarity = total / (height * width)
    return similarity if math.isfinite(similarity) else None


def _sum_similarity(picture: ImageBatch, content: ImageBatch, start: int, stop: int) -> float:
    """Sum over the rows from ``start`` to ``stop`` of the map's mean over the channels.

    The measure mirrors what it is given at the borders, so that the rows are seen with as many
    around them as the window reaches, as far as the picture goes.
    """
    height = picture.shape[-2]
    first = max(0, start - _SSIM_WINDOW_PX // 2)
    seen = slice(first, min(height, stop + _SSIM_WINDOW_PX // 2))
    _, similarity = structural_similarity_index_measure(
        picture[..., seen, :], content[..., seen, :], data_range=1.0, return_full_image=True
    )
    band: Tensor = similarity[..., start - first : stop - first, :]
    return band.mean(dim=1).sum(dtype=torch.float64).item()


def _finite(measure: Tensor) -> float | None:
    value = measure.item()
    return value if math.isfinite(value) else None
