"""How good a decoder is on photographs, and where it may be on paintings, that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stylecore.generate.arbitrary import FEATURES, Style, measure_adapted
from stylecore.generate.decoder import SCALE, Decoder
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.perception.encoder import Encoder
from stylecore.training.arbitrary_game import apply_style, arbitrary_losses
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.style_validation import (
    JudgedPhotographs,
    JudgedPicture,
    StyleValidation,
)
from stylecore.training.style_views import measure_images
from stylecore.types import ImageBatch


class ArbitraryValidator:
    """Judges decoders on the same photographs, each in every style.

    Args:
        photographs: at least one, at the size of the pictures.
        paintings: at least one, at the size of the strokes.
        encoder: on the device.
        lpips: from ``build_lpips``.
        settings: the weights of the losses.
    """

    @torch.no_grad()
    def __init__(
        self,
        photographs: Sequence[RgbImage],
        paintings: Sequence[RgbImage],
        encoder: Encoder,
        lpips: nn.Module,
        settings: TrainArbitrarySettings,
    ) -> None:
        self.photographs = photographs
        self._encoder = encoder
        self._lpips = lpips
        self._settings = settings
        self._styles = [
            measure_images(encoder, to_batch([pixels]).to(encoder.mean.device))
            for pixels in paintings
        ]

    @torch.no_grad()
    def validate(self, decoder: Decoder, step: int) -> StyleValidation:
        """Every photograph in every style."""
        judged = JudgedPhotographs()
        for pixels in map(_whole_features, self.photographs):
            photograph = to_batch([pixels]).to(self._encoder.mean.device)
            judged.add(pixels, [self._judge(decoder, photograph, style) for style in self._styles])
        return judged.validation(step)

    def _judge(self, decoder: Decoder, photograph: ImageBatch, style: Style) -> JudgedPicture:
        features = self._encoder(photograph, [FEATURES])[FEATURES]
        own = measure_adapted(photograph, features)
        batch = apply_style(photograph, features, own, style)
        picture = decoder(batch.adapted, batch.ground)
        content, distance = arbitrary_losses(self._encoder, picture, batch)
        lpips = self._lpips(picture, photograph, normalize=True)
        weights = self._settings
        total = weights.content_weight * content + weights.style_weight * distance
        losses = (total, content, distance, lpips)
        return JudgedPicture(picture, *(loss.item() for loss in losses))


def _whole_features(pixels: RgbImage) -> RgbImage:
    """The upper left part of whole pixels of the features: a photograph has 16 px at least."""
    height, width = (side // SCALE * SCALE for side in pixels.shape[:2])
    return pixels[:height, :width]
