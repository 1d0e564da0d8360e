"""The method of Gatys et al. 2016: each photograph's pixels are changed until it has the style.

Photographs are worked on one at a time; ``minimize`` takes batches of one size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

import torch
from torch import nn

from stylecore.config import StylizeJob
from stylecore.errors import JobError, NonFiniteError, OutOfMemoryError
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import crop, from_batch, to_batch
from stylecore.metrics.quality import QualityScores, build_lpips, score_picture
from stylecore.metrics.tiled import TiledLpips
from stylecore.optimize.loop import MinimizeResult, minimize
from stylecore.optimize.starts import StartInputs, make_start
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder, build_encoder
from stylecore.perception.layers import check_layers
from stylecore.perception.weights import load_weights
from stylecore.settings import EncoderName, OptimizeSettings, Pooling, Smoothing
from stylecore.stylizer.protocol import Content, Stylized, StylizerInputs
from stylecore.stylizer.subject import Studio
from stylecore.types import ImageBatch

# Small steps from the photograph, without curvature that may have been learned from overflow.
_SAFER: Final = {"optimizer": "adam", "init": "content"}
_SAFER_NOTE: Final = "made again with Adam from the photograph: the objective was not finite"
_KEPT_ENCODERS: Final = 4
_LPIPS_NETWORK: Final[tuple[EncoderName, Pooling]] = ("vgg16", "max")


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
        self._job, self._inputs, self._watch = job, inputs, watch
        self._device = _find_device(job.device)
        self._has_default_weights = encoder is None and inputs.weights is None
        if encoder is None:
            encoder = _load_encoder(settings, inputs.weights, self._device)
        check_layers((*settings.content_layers, *settings.style_layers), encoder.layer_names)
        self._encoder = encoder
        self._studio = Studio(self._encoder, settings, styles, self._device)

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``, in order."""
        for content in contents:
            yield self._stylize_one(content)

    def score(self, content: RgbImage, picture: RgbImage) -> QualityScores:
        """As ``Stylizer.score``, with the losses that the picture was, or would be, made for."""
        subject = self._studio.prepare(content)
        photograph, made = self._to_batch(content), self._to_batch(picture)
        view = self._studio.view
        core_px = self._studio.core_px(content)
        distance = self._lpips if core_px is None else TiledLpips(self._lpips, core_px)
        return score_picture(view(photograph), view(made), subject.objective, distance)

    def _stylize_one(self, content: Content) -> Stylized:
        self._watch.check_stop()
        height, width, _ = content.pixels.shape
        try:
            result, note = self._minimize(content.pixels), None
            if isinstance(result.errors[0], NonFiniteError):
                result, note = self._minimize(content.pixels, _SAFER), _SAFER_NOTE
        except OutOfMemoryError as too_large:
            return Stylized(content.key, None, error=too_large)
        except (MemoryError, RuntimeError) as fault:
            if not _is_memory_fault(fault):
                raise
            return Stylized(content.key, None, error=_out_of_memory(height, width))
        (error,), (evaluations,) = result.errors, result.evaluations
        if error is not None:
            return Stylized(content.key, None, evaluations, error)
        (picture,) = from_batch(crop(result.images, height, width))
        return Stylized(content.key, picture, evaluations, note=note)

    def _minimize(
        self, image: RgbImage, changes: Mapping[str, object] = MappingProxyType({})
    ) -> MinimizeResult:
        watch = self._watch_of_one()
        subject = self._studio.prepare(image)
        settings = self._job.optimize.model_copy(update=dict(changes))
        inputs = StartInputs(subject.style.paintings, self._inputs.init, self._job.seed)
        start = make_start(settings.init, subject.photograph, inputs)
        result = minimize(lambda images: subject.objective(images).total, start, settings, watch)
        return replace(result, images=subject.finish(result.images))

    @cached_property
    def _lpips(self) -> nn.Module:
        return build_lpips(self._lpips_encoder())

    def _lpips_encoder(self) -> Encoder:
        """LPIPS is defined on one network; where the job uses it, it is shared."""
        settings = self._job.optimize
        ours = (settings.encoder, settings.pooling)
        if self._has_default_weights and ours == _LPIPS_NETWORK and settings.smoothing == "none":
            return self._encoder
        return _default_encoder(*_LPIPS_NETWORK, "none", self._device)

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


def _load_encoder(settings: OptimizeSettings, data: bytes | None, device: torch.device) -> Encoder:
    if data is None:
        return _default_encoder(settings.encoder, settings.pooling, settings.smoothing, device)
    weights = load_weights(settings.encoder, data)
    encoder = build_encoder(settings.encoder, settings.pooling, weights, settings.smoothing)
    return encoder.to(device)


@lru_cache(_KEPT_ENCODERS)
def _default_encoder(
    name: EncoderName, pooling: Pooling, smoothing: Smoothing, device: torch.device
) -> Encoder:
    """Loaded once in a process: frozen, so that shards and stages of a cascade can share it."""
    return build_encoder(name, pooling, load_weights(name, None), smoothing).to(device)


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
