"""Two networks trained against each other, whatever the generator makes pictures from.

What is made, of what, and what else it should be like is a ``Game``; here is only the alternation:
Adam for both, clipped gradients, an average of the generator's weights, noise on what the
discriminator sees that decays to nothing (Arjovsky and Bottou 2017, arXiv:1701.04862), and a
discriminator that waits while it is too good. Where no adversary is wanted there is none, and only
the other losses teach. All chance comes from one generator on the CPU, so
that a seed means the same everywhere and a checkpoint can hold it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from stylecore.errors import JobError
from stylecore.refine.adversary import (
    AdversaryLoss,
    Scalar,
    discriminator_loss,
    generator_loss,
    success_rate,
)
from stylecore.refine.networks import Discriminator
from stylecore.types import ImageBatch

_BETAS = (0.0, 0.99)
_BETAS_ALONE = (0.9, 0.99)  # without an adversary what is lowered stays the same
_WARM_UP_STEPS = 50
_SUCCESS_MEMORY = 0.9  # of the running success rate, a step


@dataclass(frozen=True)
class LoopSettings:
    """How the alternation goes; see ``TrainRefinerSettings`` for what each means.

    ``is_annealed``: whether learning rates rise over the first 50 steps and fall to nothing at the
    end, along a cosine.
    """

    num_steps: int
    adversary: AdversaryLoss
    adversary_weight: float
    feature_weight: float
    generator_learning_rate: float
    discriminator_learning_rate: float
    averaging: float
    noise: float
    clip_norm: float
    success_limit: float
    is_annealed: bool = False


Batch = TypeVar("Batch")
Generator = TypeVar("Generator", bound=nn.Module)
Player_contra = TypeVar("Player_contra", bound=nn.Module, contravariant=True)


class Game(Protocol[Player_contra, Batch]):
    """What is generated, and what it is held against."""

    def draw(self, random: torch.Generator) -> Batch:
        """What one step works on."""

    def generate(self, generator: Player_contra, batch: Batch) -> ImageBatch:
        """Pictures, with their gradient."""

    def penalties(self, step: int, pictures: ImageBatch, batch: Batch) -> Mapping[str, Scalar]:
        """What else the generator lowers in this step, weighted, by name."""


class AdversarialGame(Game[Player_contra, Batch], Protocol[Player_contra, Batch]):
    """A game that a discriminator can take part in."""

    def view_fake(self, pictures: ImageBatch, batch: Batch) -> Tensor:
        """What the discriminator sees of them, shape (b, c, h, w)."""

    def view_real(self, batch: Batch) -> Tensor:
        """Real examples as the discriminator sees them, shape (n, c, h, w)."""


class AdversarialLoop(Generic[Generator, Batch]):
    """One generator and one discriminator, and everything that changes while they learn.

    With a discriminator the game must be an ``AdversarialGame``.

    Attributes:
        generator: as it is after the last step.
        average: the same network with averaged weights, which is the one to use.
        discriminator: as it is after the last step; None without an adversary.
        step: how many steps have been made.
        success: running share of patches that the discriminator calls rightly.
    """

    def __init__(
        self,
        game: Game[Generator, Batch],
        generator: Generator,
        discriminator: Discriminator | None,
        settings: LoopSettings,
        random: torch.Generator,
    ) -> None:
        self.game = game
        self.generator = generator
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.settings = settings
        self.random = random
        self.step = 0
        self.success = 0.5
        betas = _BETAS_ALONE if discriminator is None else _BETAS
        self.generator_optimizer = Adam(
            generator.parameters(), settings.generator_learning_rate, betas
        )
        self.discriminator_optimizer = (
            None
            if discriminator is None
            else Adam(discriminator.parameters(), settings.discriminator_learning_rate, betas)
        )

    def advance(self) -> dict[str, float]:
        """Make one step.

        Raises:
            JobError: a gradient is not finite, though its loss is; the weights are still those
                before it.

        Returns:
            Losses by name; with an adversary also ``success``, and ``is_paused``: 1 where the
            discriminator waited.
        """
        batch = self.game.draw(self.random)
        pictures = self.game.generate(self.generator, batch)
        figures: dict[str, float] = {}
        losses: dict[str, Scalar] = {}
        if self.discriminator is not None:
            game = cast("AdversarialGame[Generator, Batch]", self.game)
            real = self._blur(game.view_real(batch))
            fake = game.view_fake(pictures.detach(), batch)
            figures = self._teach_discriminator(self.discriminator, real, fake)
            losses = self._judge(self.discriminator, real, game.view_fake(pictures, batch))
        losses |= self.game.penalties(self.step, pictures, batch)
        total = torch.stack([*losses.values()]).sum()
        self._descend(self.generator, self.generator_optimizer, total)
        self.step += 1
        self._average_weights()
        return figures | {name: loss.item() for name, loss in losses.items()}

    def _teach_discriminator(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor
    ) -> dict[str, float]:
        settings = self.settings
        is_paused = self.success > settings.success_limit
        discriminator.requires_grad_(not is_paused)
        verdicts = discriminator(real), discriminator(self._blur(fake))
        loss = discriminator_loss(settings.adversary, *verdicts)
        if self.discriminator_optimizer is not None and not is_paused:
            self._descend(discriminator, self.discriminator_optimizer, loss)
        rate = success_rate(*verdicts).item()
        self.success = _SUCCESS_MEMORY * self.success + (1 - _SUCCESS_MEMORY) * rate
        return {"discriminator": loss.item(), "success": rate, "is_paused": float(is_paused)}

    def _judge(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> dict[str, Scalar]:
        """What the discriminator says of generated pictures, as losses of the generator."""
        settings = self.settings
        discriminator.requires_grad_(False)
        view = self._blur(fake)
        verdict = generator_loss(settings.adversary, discriminator(view))
        losses = {"adversary": settings.adversary_weight * verdict}
        if settings.feature_weight > 0:
            distance = _feature_distance(discriminator, view, real)
            losses["features"] = settings.feature_weight * distance
        return losses

    def _descend(self, network: nn.Module, optimizer: Adam, loss: Scalar) -> None:
        if self.settings.is_annealed:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * self._annealing()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        if math.isfinite(loss.item()) and not math.isfinite(norm.item()):
            raise JobError(
                f"training went astray: a gradient is not finite in step {self.step + 1}: lower "
                "the learning rates, or the weights of the losses"
            )
        optimizer.step()

    def _annealing(self) -> float:
        """The share of the learning rates in this step."""
        warm_up = min(1.0, (self.step + 1) / _WARM_UP_STEPS)
        return warm_up * (1 + math.cos(math.pi * self.step / self.settings.num_steps)) / 2

    def _blur(self, view: Tensor) -> Tensor:
        """With instance noise, which decays linearly and is gone after three quarters."""
        share = 1 - self.step / (0.75 * self.settings.num_steps)
        if self.settings.noise == 0 or share <= 0:
            return view
        noise = torch.randn(view.shape, generator=self.random).to(view.device)
        return view + self.settings.noise * share * noise

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Exponential average, of a memory that grows at first: the start is soon forgotten."""
        memory = min(self.settings.averaging, self.step / (self.step + 9))
        for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - memory)


def _feature_distance(discriminator: Discriminator, fake: Tensor, real: Tensor) -> Scalar:
    """Feature matching (Salimans et al. 2016, arXiv:1606.03498), of means and deviations."""
    pairs = zip(discriminator.features(fake), discriminator.features(real), strict=True)
    return torch.stack([_moments_distance(one, other) for one, other in pairs]).mean()


def _moments_distance(fake: Tensor, real: Tensor) -> Scalar:
    scale = real.square().mean()
    means = fake.mean(dim=(0, 2, 3)) - real.mean(dim=(0, 2, 3))
    spreads = fake.std(dim=(0, 2, 3)) - real.std(dim=(0, 2, 3))
    return (means.square().mean() + spreads.square().mean()) / scale
