"""What the two networks of a GAN play for, as plain functions of the discriminator's logits.

All three are symmetric about a logit of 0, so that its sign is the verdict whatever the loss is.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

AdversaryLoss = Literal["bce", "hinge", "least-squares"]
Logits = Float[Tensor, "b 1 h w"]
Scalar = Float[Tensor, ""]


def discriminator_loss(kind: AdversaryLoss, real: Logits, fake: Logits) -> Scalar:
    """What the discriminator lowers: real patches should have positive logits, fakes negative.

    ``bce`` is the game of Goodfellow et al. 2014 (arXiv:1406.2661), ``hinge`` that of Lim and Ye
    2017 (arXiv:1705.02894), ``least-squares`` that of Mao et al. 2017 (arXiv:1611.04076) with
    their targets of -1 and 1.

    Args:
        kind: which game.
        real: logits of patches of paintings, shape (b, 1, h, w).
        fake: logits of patches of generated pictures, shape (n, 1, k, l).

    Returns:
        Mean over patches, the average of the real and the fake half.
    """
    if kind == "bce":
        halves = functional.softplus(-real).mean(), functional.softplus(fake).mean()
    elif kind == "hinge":
        halves = functional.relu(1 - real).mean(), functional.relu(1 + fake).mean()
    else:
        halves = (real - 1).square().mean(), (fake + 1).square().mean()
    return (halves[0] + halves[1]) / 2


def generator_loss(kind: AdversaryLoss, fake: Logits) -> Scalar:
    """What the generator lowers: its patches should look real.

    For ``bce`` the form that does not saturate (Goodfellow et al. 2014, section 3).

    Args:
        kind: which game.
        fake: logits of patches of generated pictures, shape (b, 1, h, w).

    Returns:
        Mean over patches.
    """
    if kind == "bce":
        return functional.softplus(-fake).mean()
    if kind == "hinge":
        return -fake.mean()
    return (fake - 1).square().mean()


def success_rate(real: Logits, fake: Logits) -> Scalar:
    """Share of patches that the discriminator calls rightly, real and fake counting alike."""
    return ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
