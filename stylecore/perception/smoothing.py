"""Smoothed activations, without which residual networks are of little use for style.

Wang et al. 2021 (arXiv:2104.05623): residual connections make activations few and peaked, so that
a Gram matrix tells of the peaks only; a softmax over the whole feature map evens them out.
"""

from __future__ import annotations

import math

import torch

from stylecore.types import FeatureMap


def smooth_activations(features: FeatureMap) -> FeatureMap:
    """Softmax over all channels and pixels of each image.

    Unlike in the paper, the result is multiplied by their number, so that its mean is one and a
    weight of a loss means the same at every layer and image size. (The authors' softmax sums to
    one, and their style weight is 1e17.)

    Args:
        features: activations, shape (b, c, h, w).

    Returns:
        Positive, with mean one over each image, same shape.
    """
    num_activations = features[0].numel()
    total = torch.logsumexp(features, dim=(1, 2, 3), keepdim=True)
    return torch.exp(features - (total - math.log(num_activations)))
