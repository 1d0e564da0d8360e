"""How good a translator is where no picture says what a photograph should become.

Two figures say it together: FD-VGG, how far the texture and colors of all translated photographs
are from those of the examples (``stylecore.metrics.sets``), and LPIPS, how far each picture is from
its photograph. The best weights have the least FD-VGG: it is what a translator is for. The product
of both, as in ArtFID, would choose those that change least, for all of FD-VGG that there is to gain
is less than what any repainting costs in LPIPS. That pictures stay those of their photographs is
what PatchNCE is for, and LPIPS tells whether they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch, to_batch
from stylecore.metrics.frechet import Gaussian, Moments, average_moments
from stylecore.metrics.sets import SetFeatures
from stylecore.perception.encoder import Encoder
from stylecore.training.contrast import Translator
from stylecore.types import ImageBatch

_MAX_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class TranslatorValidation:
    """What is measured of translated photographs.

    Attributes:
        step: after which it was made.
        fd_vgg: of all of them from the examples.
        fd_vgg_before: of the photographs themselves from the examples.
        lpips: mean distance from the photographs.
        pictures: how many there were.
        samples: of the first few, photograph and picture, each of shape (h, w, 3).
    """

    step: int
    fd_vgg: float
    fd_vgg_before: float
    lpips: float
    pictures: int
    samples: list[list[RgbImage]]

    @property
    def score(self) -> tuple[float, float]:
        """Less distance from the examples, and less from the photographs."""
        return -self.fd_vgg, -self.lpips

    def headline(self) -> str:
        """The figures in a few words."""
        return f"validation FD-VGG {self.fd_vgg:.3g}, LPIPS {self.lpips:.3f}"

    def figures(self) -> dict[str, float]:
        """For the card."""
        return {
            "step": float(self.step),
            "pictures": float(self.pictures),
            "fd_vgg": self.fd_vgg,
            "fd_vgg_before": self.fd_vgg_before,
            "lpips_content": self.lpips,
        }


class TranslatorValidator:
    """Judges translators on the same photographs, by the same examples.

    Args:
        photographs: at least one, at the size of the pictures.
        examples: of the other kind; at least one.
        encoder: VGG-16 on the device.
        lpips: from ``build_lpips``.
    """

    def __init__(
        self,
        photographs: Sequence[RgbImage],
        examples: Sequence[RgbImage],
        encoder: Encoder,
        lpips: nn.Module,
    ) -> None:
        self._photographs = photographs
        self._device = encoder.mean.device
        self._features = SetFeatures(encoder)
        self._lpips = lpips
        self._examples = Gaussian.fit(self._moments(examples))
        self._before = self._examples.distance(self._moments(photographs))

    @torch.no_grad()
    def validate(self, translator: Translator, step: int) -> TranslatorValidation:
        """Translate every photograph, and measure."""
        moments: list[Moments] = []
        distances: list[float] = []
        samples: list[list[RgbImage]] = []
        for pixels in self._photographs:
            photograph = self._load(pixels)
            picture = translator(photograph)
            moments.append(self._features.moments(picture))
            distance: Tensor = self._lpips(picture, photograph, normalize=True)
            distances.append(distance.item())
            if len(samples) < _MAX_SAMPLES:
                samples.append([pixels, from_batch(picture)[0]])
        return TranslatorValidation(
            step=step,
            fd_vgg=self._examples.distance(average_moments(moments)),
            fd_vgg_before=self._before,
            lpips=fmean(distances),
            pictures=len(moments),
            samples=samples,
        )

    def _moments(self, pictures: Sequence[RgbImage]) -> Moments:
        return average_moments([self._features.moments(self._load(one)) for one in pictures])

    def _load(self, pixels: RgbImage) -> ImageBatch:
        return to_batch([pixels]).to(self._device)
