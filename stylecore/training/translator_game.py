"""What a translator is trained for: CUT (Park et al. 2020, arXiv:2007.15651).

One adversary says whether a picture is of the other kind. Unlike a refiner's it sees colors, for
nothing else tells the generator which colors paintings have; by default it sees them through the
early layers of a pretrained network (Sauer et al. 2021, "Projected GANs Converge Faster",
arXiv:2111.01007), without which it would need many more examples and steps. PatchNCE keeps the
picture one of its photograph. Where the identity term is wanted, pictures that are of the other
kind already go through with the photographs, and are to stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.refine.adversary import Scalar
from stylecore.training.augmentation import crop_randomly
from stylecore.training.contrast import Places, Translator, draw_places, patch_nce
from stylecore.training.translator_settings import TrainTranslatorSettings
from stylecore.types import FeatureMap, ImageBatch

_DEVIATION: Final = 0.25  # of the pixels of pictures, about
_LAYER: Final = "relu3_1"
_FEATURE_DEVIATION: Final = 4.1  # of this layer of VGG-16, about


@dataclass(frozen=True)
class TranslatorBatch:
    """Crops of one step.

    Attributes:
        photographs: shape (b, 3, s, s).
        examples: of the other kind, same shape.
        inputs: what is translated: photographs, and then examples where they are to stay.
        places: of the patches that are compared, for each layer.
    """

    photographs: ImageBatch
    examples: ImageBatch
    inputs: ImageBatch
    places: Sequence[Places]


class TranslatorGame:
    """Translated photographs against examples of the other kind.

    Args:
        translator: that is trained: its encoding half is what patches are compared by.
        photographs: to train on, each of shape (h, w, 3).
        examples: of the other kind, the same.
        encoder: VGG-16 on the device of the translator.
        settings: crops and weights.
    """

    def __init__(
        self,
        translator: Translator,
        photographs: Sequence[RgbImage],
        examples: Sequence[RgbImage],
        encoder: Encoder,
        settings: TrainTranslatorSettings,
    ) -> None:
        self.translator = translator
        self.photographs = photographs
        self.examples = examples
        self.encoder = encoder
        self.settings = settings
        self.device = encoder.mean.device

    def draw(self, random: torch.Generator) -> TranslatorBatch:
        """Crops of random pictures of both kinds, and where to compare them."""
        settings = self.settings
        photographs = self._crop(self.photographs, random)
        examples = self._crop(self.examples, random)
        inputs = photographs
        if settings.identity_weight > 0:
            inputs = torch.cat((photographs, examples))
        places = draw_places(settings.crop_px, settings.num_patches, random)
        there = [each.to(self.device) for each in places]
        return TranslatorBatch(photographs, examples, inputs, there)

    def generate(self, generator: Translator, batch: TranslatorBatch) -> ImageBatch:
        """The translations of all inputs."""
        pictures: ImageBatch = generator(batch.inputs)
        return pictures

    def view_fake(self, pictures: ImageBatch, batch: TranslatorBatch) -> FeatureMap:
        """The translated photographs; examples are to stay, and fool nobody."""
        return self._view(pictures[: len(batch.photographs)])

    def view_real(self, batch: TranslatorBatch) -> FeatureMap:
        """The examples."""
        with torch.no_grad():
            return self._view(batch.examples)

    def penalties(
        self, step: int, pictures: ImageBatch, batch: TranslatorBatch
    ) -> Mapping[str, Scalar]:
        """How badly patches of photographs and examples are found again in the pictures."""
        del step
        with torch.no_grad():
            keys = self.translator.look(batch.inputs, batch.places)
        queries = self.translator.look(pictures, batch.places)
        pairs = [*zip(queries, keys, strict=True)]
        num = len(batch.photographs)
        contrast = [patch_nce(query[:num], key[:num]) for query, key in pairs]
        losses = {"contrast": self.settings.contrast_weight * torch.stack(contrast).mean()}
        if self.settings.identity_weight > 0:
            identity = [patch_nce(query[num:], key[num:]) for query, key in pairs]
            losses["identity"] = self.settings.identity_weight * torch.stack(identity).mean()
        return losses

    def _view(self, pictures: ImageBatch) -> FeatureMap:
        if self.settings.adversary_view == "colors":
            return view_colors(pictures)
        features: FeatureMap = self.encoder(pictures, [_LAYER])[_LAYER]
        return features / _FEATURE_DEVIATION

    def _crop(self, pictures: Sequence[RgbImage], random: torch.Generator) -> ImageBatch:
        side_px, num = self.settings.crop_px, self.settings.batch_size
        chosen = torch.randint(len(pictures), (num,), generator=random).tolist()
        crops = [crop_randomly(to_batch([pictures[index]]), side_px, random) for index in chosen]
        return torch.cat(crops).to(self.device, memory_format=torch.channels_last)


def count_channels(encoder: Encoder, settings: TrainTranslatorSettings) -> int:
    """Of what the adversary sees."""
    if settings.adversary_view == "colors":
        return 3
    return len(next(encoder.stages[_LAYER].parameters()))


def view_colors(pictures: ImageBatch) -> Float[Tensor, "b 3 h w"]:
    """Pictures about zero, in units of a usual deviation."""
    return (pictures - 0.5) / _DEVIATION
