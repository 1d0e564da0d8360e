"""Two networks trained against each other, whatever the generator makes pictures from.

What is made, of what, and what else it should be like is a ``Game``; here is only the alternation:
Adam for both, clipped gradients, an average of the generator's weights, noise on what the
discriminator sees that decays to nothing (Arjovsky and Bottou 2017, arXiv:1701.04862), and a
discriminator that waits while it is too good. All chance comes from one generator on the CPU, so
that a seed means the same everywhere and a checkpoint can hold it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

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
_SUCCESS_MEMORY = 0.9  # of the running success rate, a step


@dataclass(frozen=True)
class LoopSettings:
    """How the alternation goes; see ``TrainRefinerSettings`` for what each means."""

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


Batch = TypeVar("Batch")
Generator = TypeVar("Generator", bound=nn.Module)
Player_contra = TypeVar("Player_contra", bound=nn.Module, contravariant=True)


class Game(Protocol[Player_contra, Batch]):
    """What is generated, and what it is held against."""

    def draw(self, random: torch.Generator) -> Batch:
        """What one step works on."""

    def generate(self, generator: Player_contra, batch: Batch) -> ImageBatch:
        """Pictures, with their gradient."""

    def view_fake(self, pictures: ImageBatch, batch: Batch) -> Tensor:
        """What the discriminator sees of them, shape (b, c, h, w)."""

    def view_real(self, batch: Batch) -> Tensor:
        """Real examples as the discriminator sees them, shape (n, c, h, w)."""

    def penalties(self, step: int, pictures: ImageBatch, batch: Batch) -> Mapping[str, Scalar]:
        """What else the generator lowers in this step, weighted, by name."""


class AdversarialLoop(Generic[Generator, Batch]):
    """One generator and one discriminator, and everything that changes while they learn.

    Attributes:
        generator: as it is after the last step.
        average: the same network with averaged weights, which is the one to use.
        discriminator: as it is after the last step.
        step: how many steps have been made.
        success: running share of patches that the discriminator calls rightly.
    """

    def __init__(
        self,
        game: Game[Generator, Batch],
        generator: Generator,
        discriminator: Discriminator,
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
        self.generator_optimizer = Adam(
            generator.parameters(), settings.generator_learning_rate, _BETAS
        )
        self.discriminator_optimizer = Adam(
            discriminator.parameters(), settings.discriminator_learning_rate, _BETAS
        )

    def advance(self) -> dict[str, float]:
        """Make one step.

        Returns:
            Losses by name, ``success``, and ``is_paused``: 1 where the discriminator waited.
        """
        batch = self.game.draw(self.random)
        pictures = self.game.generate(self.generator, batch)
        real = self._blur(self.game.view_real(batch))
        figures = self._teach_discriminator(real, self.game.view_fake(pictures.detach(), batch))
        figures |= self._teach_generator(pictures, real, batch)
        self.step += 1
        self._average_weights()
        return figures

    def _teach_discriminator(self, real: Tensor, fake: Tensor) -> dict[str, float]:
        settings = self.settings
        is_paused = self.success > settings.success_limit
        self.discriminator.requires_grad_(not is_paused)
        verdicts = self.discriminator(real), self.discriminator(self._blur(fake))
        loss = discriminator_loss(settings.adversary, *verdicts)
        if not is_paused:
            self._descend(self.discriminator, self.discriminator_optimizer, loss)
        rate = success_rate(*verdicts).item()
        self.success = _SUCCESS_MEMORY * self.success + (1 - _SUCCESS_MEMORY) * rate
        return {"discriminator": loss.item(), "success": rate, "is_paused": float(is_paused)}

    def _teach_generator(
        self, pictures: ImageBatch, real: Tensor, batch: Batch
    ) -> dict[str, float]:
        settings = self.settings
        self.discriminator.requires_grad_(False)
        view = self._blur(self.game.view_fake(pictures, batch))
        verdict = generator_loss(settings.adversary, self.discriminator(view))
        losses = {"adversary": settings.adversary_weight * verdict}
        if settings.feature_weight > 0:
            losses["features"] = settings.feature_weight * self._feature_distance(view, real)
        losses |= self.game.penalties(self.step, pictures, batch)
        self._descend(
            self.generator, self.generator_optimizer, torch.stack([*losses.values()]).sum()
        )
        return {name: loss.item() for name, loss in losses.items()}

    def _feature_distance(self, fake: Tensor, real: Tensor) -> Scalar:
        """Feature matching (Salimans et al. 2016, arXiv:1606.03498), of means and deviations."""
        pairs = zip(
            self.discriminator.features(fake), self.discriminator.features(real), strict=True
        )
        return torch.stack([_moments_distance(one, other) for one, other in pairs]).mean()

    def _descend(self, network: nn.Module, optimizer: Adam, loss: Scalar) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        clip_grad_norm_(network.parameters(), self.settings.clip_norm)
        optimizer.step()

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


def _moments_distance(fake: Tensor, real: Tensor) -> Scalar:
    scale = real.square().mean()
    means = fake.mean(dim=(0, 2, 3)) - real.mean(dim=(0, 2, 3))
    spreads = fake.std(dim=(0, 2, 3)) - real.std(dim=(0, 2, 3))
    return (means.square().mean() + spreads.square().mean()) / scale


def iterate(loop: AdversarialLoop[Generator, Batch]) -> Iterator[dict[str, float]]:
    """Steps until the number of the settings is reached."""
    while loop.step < loop.settings.num_steps:
        yield loop.advance()
