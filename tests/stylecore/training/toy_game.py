"""A toy for the alternation: a generator of one number against paintings of one gray."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from stylecore.refine.networks import Discriminator
from stylecore.training.adversarial_loop import AdversarialLoop, LoopSettings

SETTINGS = LoopSettings(
    num_steps=40,
    adversary="bce",
    adversary_weight=1.0,
    feature_weight=0.0,
    generator_learning_rate=0.02,
    discriminator_learning_rate=0.01,
    averaging=0.9,
    noise=0.0,
    clip_norm=1.0,
    success_limit=1.0,
)


class Offset(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.0))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures + self.value


class Grays:
    """Real pictures are brighter by 1 than those that are drawn."""

    def __init__(self, pull: float = 0.0) -> None:
        self.pull = pull

    def draw(self, random: torch.Generator) -> Tensor:
        return 0.3 * torch.randn(4, 1, 16, 16, generator=random)

    def generate(self, generator: Offset, batch: Tensor) -> Tensor:
        return generator(batch)

    def view_fake(self, pictures: Tensor, batch: Tensor) -> Tensor:
        return pictures

    def view_real(self, batch: Tensor) -> Tensor:
        return batch.flip(0) + 1

    def penalties(self, step: int, pictures: Tensor, batch: Tensor) -> Mapping[str, Tensor]:
        return {"pull": self.pull * (pictures - batch).square().mean()} if self.pull else {}


def loop_of(game: Grays | None = None, seed: int = 0, **changes: object) -> AdversarialLoop:
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(seed)
    return AdversarialLoop(
        game or Grays(), Offset(), Discriminator(1, width=4), replace(SETTINGS, **changes), random
    )
