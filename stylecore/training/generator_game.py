"""What a generator is trained for: the optimizer's objective, of crops of photographs.

At the end of the training, that is. Before, the content weighs more: what is lost of a photograph
early is not found again. And a difference from it costs more where it is large, or a network paints
over a face and leaves the rest as it is, which a mean does not mind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stylecore.generate.networks import Generator, StyleShares
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import content_loss, gram_matrix, style_loss
from stylecore.perception.targets import (
    Painting,
    Region,
    RegionTarget,
    StyleTarget,
    make_region_target,
)
from stylecore.refine.adversary import Scalar
from stylecore.settings import OptimizeSettings
from stylecore.training.augmentation import crop_randomly
from stylecore.training.settings import TrainGeneratorSettings
from stylecore.training.views import Units, View, view_in
from stylecore.types import ImageBatch

_LEAST_LOSS = 1e-6  # of black crops of a black painting
_DEFAULTS = OptimizeSettings()


@dataclass(frozen=True)
class GeneratorBatch:
    """Crops of one step.

    Attributes:
        photographs: shape (b, 3, s, s).
        styles: which style each is to take, shape (b,).
        shares: the same as the network takes it, shape (b, number of styles).
        real: views of crops of the paintings, shape (b, 2, s, s); empty without an adversary.
    """

    photographs: ImageBatch
    styles: Int[Tensor, " b"]
    shares: StyleShares
    real: View


class GeneratorGame:
    """Generated pictures against what ``OptimizeStylizer`` would minimise for them, content first.

    Args:
        photographs: to train on, 8 bit, each of shape (h, w, 3), at the size of the pictures.
        paintings: one a style, on the device, each of shape (1, 3, h, w), at the same size.
        encoder: on the device, in single precision: paintings are measured once.
        settings: crops and weights.
        precision: what convolutions are computed in, of both networks.
    """

    def __init__(
        self,
        photographs: Sequence[RgbImage],
        paintings: Sequence[ImageBatch],
        encoder: Encoder,
        settings: TrainGeneratorSettings,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.photographs = photographs
        self.encoder = encoder.in_precision(precision)
        self.settings = settings
        self.device = encoder.mean.device
        self.target = measure_styles(encoder, paintings)
        self.views = [view_in(Units.of(painting), painting) for painting in paintings]

    def draw(self, random: torch.Generator) -> GeneratorBatch:
        """Crops of random photographs, each with a random style."""
        side_px, num = self.settings.crop_px, self.settings.batch_size
        chosen = torch.randint(len(self.photographs), (num,), generator=random).tolist()
        crops = [
            crop_randomly(to_batch([self.photographs[index]]), side_px, random) for index in chosen
        ]
        styles = torch.randint(len(self.views), (num,), generator=random)
        reals = [crop_randomly(self.views[index], side_px, random) for index in styles.tolist()]
        photographs = torch.cat(crops).to(self.device, memory_format=torch.channels_last)
        shares = one_hot(styles, len(self.views)).to(self.device)
        return GeneratorBatch(photographs, styles.to(self.device), shares, torch.cat(reals))

    def generate(self, generator: Generator, batch: GeneratorBatch) -> ImageBatch:
        """Stylize the crops."""
        precision = self.encoder.precision
        is_mixed = precision != torch.float32
        with torch.autocast(self.device.type, dtype=precision, enabled=is_mixed):
            pictures: ImageBatch = generator(batch.photographs, batch.shares)
        return pictures.float()

    def view_fake(self, pictures: ImageBatch, batch: GeneratorBatch) -> View:
        """The generated crops, each in units of its own."""
        del batch
        return view_in(Units.of(pictures), pictures)

    def view_real(self, batch: GeneratorBatch) -> View:
        """Crops of the paintings."""
        return batch.real

    def penalties(
        self, step: int, pictures: ImageBatch, batch: GeneratorBatch
    ) -> Mapping[str, Scalar]:
        """The logarithm of the objective: each crop is to get better by as large a share."""
        layers = (*_DEFAULTS.content_layers, *_DEFAULTS.style_layers)
        with torch.no_grad():
            before = self.encoder(batch.photographs, _DEFAULTS.content_layers)
        after = self.encoder(pictures, layers)
        content = torch.stack(
            [
                content_loss(after[name], before[name], self.settings.content_power)
                for name in before
            ]
        ).sum(dim=0)
        grams = select_styles(self.target, batch.styles).regions[0].grams
        style = torch.stack(
            [style_loss(gram_matrix(after[name]), gram) for name, gram in grams.items()]
        ).sum(dim=0)
        total = self._content_weight(step) * content + self.settings.style_weight * style
        return {"objective": (total + _LEAST_LOSS).log().mean()}

    def _content_weight(self, step: int) -> float:
        """From the first to the last along a geometric series."""
        first, last = self.settings.first_content_weight, self.settings.content_weight
        return float(first * (last / first) ** (step / self.settings.num_steps))


def measure_styles(encoder: Encoder, paintings: Sequence[ImageBatch]) -> StyleTarget:
    """Statistics of several styles, as a batch of which ``select_styles`` takes what it needs."""
    targets = [
        make_region_target(encoder, [Region([Painting(painting)])], _DEFAULTS.style_layers)
        for painting in paintings
    ]
    grams = {
        name: torch.cat([target.regions[0].grams[name] for target in targets])
        for name in _DEFAULTS.style_layers
    }
    return StyleTarget((RegionTarget(grams),))


def select_styles(target: StyleTarget, styles: Int[Tensor, " b"]) -> StyleTarget:
    """The target of a batch of pictures, each with the style of that index."""
    grams = {name: gram[styles] for name, gram in target.regions[0].grams.items()}
    return StyleTarget((RegionTarget(grams),))


def one_hot(styles: Int[Tensor, " b"], num_styles: int) -> Float[Tensor, "b s"]:
    """All of one style in each picture."""
    return torch.nn.functional.one_hot(styles, num_styles).float()
