"""The method of Gatys et al. 2016: each photograph's pixels are changed until it has the style.

Photographs are worked on one at a time; ``minimize`` takes batches of one size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final

import torch
from torch import nn

from stylecore.config import EncoderName, OptimizeSettings, Pooling, StylizeJob
from stylecore.errors import JobError, OutOfMemoryError
from stylecore.images.codec import RgbImage
from stylecore.images.resize import resize_style
from stylecore.images.tensors import crop, from_batch, pad_to_minimum, to_batch
from stylecore.metrics.quality import QualityScores, build_lpips, score_picture
from stylecore.optimize.loop import MinimizeResult, minimize
from stylecore.optimize.starts import StartInputs, make_start
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder, build_encoder
from stylecore.perception.layers import check_layers
from stylecore.perception.objective import LossWeights, Objective
from stylecore.perception.targets import StyleTarget, make_content_target, make_style_target
from stylecore.perception.weights import load_weights
from stylecore.stylizer.protocol import Content, Stylized, StylizerInputs
from stylecore.types import ImageBatch

_KEPT_STYLE_SIZES: Final = 4
_LPIPS_NETWORK: Final[tuple[EncoderName, Pooling]] = ("vgg16", "max")


@dataclass(frozen=True, eq=False)
class StyleAtSize:
    """A style at one size of the output: its paintings and their statistics."""

    paintings: Sequence[tuple[ImageBatch, float]]
    target: StyleTarget


class OptimizeStylizer:
    """Makes pictures in one style by minimising the objective over their pixels.

    Args:
        job: its settings, seed, device and limits.
        styles: paintings at full size with their weights.
        inputs: files that the settings name.
        watch: progress, stop flag, and a deadline on top of ``limits.picture_seconds``.
        encoder: in place of the one that the settings name.

    Raises:
        JobError: the weights, a layer or the device do not exist, or an input is missing.
    """

    def __init__(
        self,
        job: StylizeJob,
        styles: Sequence[tuple[RgbImage, float]],
        inputs: StylizerInputs,
        watch: Watch,
        encoder: Encoder | None = None,
    ) -> None:
        settings = job.optimize
        if settings.init == "image" and inputs.init is None:
            raise JobError("init: image needs the picture at init_uri, and none was given")
        self._job, self._styles, self._inputs, self._watch = job, styles, inputs, watch
        self._device = _find_device(job.device)
        self._has_default_weights = encoder is None and inputs.weights is None
        if encoder is None:
            encoder = _load_encoder(settings, inputs.weights)
        check_layers((*settings.content_layers, *settings.style_layers), encoder.layer_names)
        self._encoder = encoder.to(self._device)
        # Photographs of one bucket come in few sizes, mostly in one.
        self._style_at = lru_cache(_KEPT_STYLE_SIZES)(self._measure_style)

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``, in order."""
        for content in contents:
            yield self._stylize_one(content)

    def score(self, content: RgbImage, picture: RgbImage) -> QualityScores:
        """As ``Stylizer.score``, with the losses that the picture was, or would be, made for."""
        photograph = self._to_batch(content)
        objective = self._objective(pad_to_minimum(photograph), max(content.shape[:2]))
        return score_picture(photograph, self._to_batch(picture), objective, self._lpips)

    def _stylize_one(self, content: Content) -> Stylized:
        self._watch.check_stop()
        height, width, _ = content.pixels.shape
        try:
            result = self._minimize(self._to_batch(content.pixels), max(height, width))
        except (MemoryError, RuntimeError) as fault:
            if not _is_memory_fault(fault):
                raise
            return Stylized(content.key, None, error=_out_of_memory(height, width))
        (error,), (evaluations,) = result.errors, result.evaluations
        if error is not None:
            return Stylized(content.key, None, evaluations, error)
        (picture,) = from_batch(crop(result.images, height, width))
        return Stylized(content.key, picture, evaluations)

    def _minimize(self, photograph: ImageBatch, longest_side_px: int) -> MinimizeResult:
        watch = self._watch_of_one()
        padded = pad_to_minimum(photograph)
        objective = self._objective(padded, longest_side_px)
        paintings = self._style_at(longest_side_px).paintings
        settings = self._job.optimize
        inputs = StartInputs(paintings, self._inputs.init, self._job.seed)
        start = make_start(settings.init, padded, inputs)
        return minimize(lambda images: objective(images).total, start, settings, watch)

    def _objective(self, photographs: ImageBatch, longest_side_px: int) -> Objective:
        settings = self._job.optimize
        content = make_content_target(self._encoder, photographs, settings.content_layers)
        style = self._style_at(longest_side_px).target
        weights = LossWeights(settings.content_weight, settings.style_weight, settings.tv_weight)
        return Objective(self._encoder, content, style, weights)

    def _measure_style(self, longest_side_px: int) -> StyleAtSize:
        paintings = [
            (pad_to_minimum(self._to_batch(resize_style(image, longest_side_px))), weight)
            for image, weight in self._styles
        ]
        layers = self._job.optimize.style_layers
        return StyleAtSize(paintings, make_style_target(self._encoder, paintings, layers))

    @cached_property
    def _lpips(self) -> nn.Module:
        return build_lpips(self._lpips_encoder().to(self._device))

    def _lpips_encoder(self) -> Encoder:
        """LPIPS is defined on one network; where the job uses it, it is shared."""
        settings = self._job.optimize
        if self._has_default_weights and (settings.encoder, settings.pooling) == _LPIPS_NETWORK:
            return self._encoder
        return build_encoder(*_LPIPS_NETWORK, load_weights(_LPIPS_NETWORK[0], None))

    def _to_batch(self, image: RgbImage) -> ImageBatch:
        return to_batch([image]).to(self._device)

    def _watch_of_one(self) -> Watch:
        """The watch with the deadline of the picture that starts now, if that is earlier."""
        seconds = self._job.limits.picture_seconds
        if seconds is None:
            return self._watch
        deadline = time.monotonic() + seconds
        if self._watch.deadline is not None:
            deadline = min(deadline, self._watch.deadline)
        return replace(self._watch, deadline=deadline)


def _load_encoder(settings: OptimizeSettings, data: bytes | None) -> Encoder:
    weights = load_weights(settings.encoder, data)
    return build_encoder(settings.encoder, settings.pooling, weights)


def _find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first CUDA device, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    num_cuda = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= num_cuda:
        raise JobError(f"device {name} is not here ({num_cuda} CUDA devices): use auto or cpu")
    return device


def _is_memory_fault(fault: Exception) -> bool:
    """Whether memory ran out. On the CPU torch has no class of its own for that."""
    is_torch = isinstance(fault, torch.OutOfMemoryError)
    return is_torch or isinstance(fault, MemoryError) or "can't allocate memory" in str(fault)


def _out_of_memory(height: int, width: int) -> OutOfMemoryError:
    reason = f"{width} x {height} px do not fit in memory: lower max_side_px"
    return OutOfMemoryError("", reason)
