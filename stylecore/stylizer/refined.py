"""Any stylizer with a refiner behind it: what it makes goes through the gate before it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch

from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch, to_batch
from stylecore.metrics.quality import QualityScores
from stylecore.metrics.texture import TextureMeasures
from stylecore.metrics.tiled import TiledLpips
from stylecore.optimize.memory import is_memory_fault
from stylecore.optimize.watch import Watch
from stylecore.refine.apply import Refined, refine_picture
from stylecore.refine.files import load_refiner
from stylecore.refine.gate import ALPHAS
from stylecore.refine.measures import GateMeasures
from stylecore.refine.networks import Refiner
from stylecore.stylizer.networks import default_lpips, default_vgg16, find_device
from stylecore.stylizer.protocol import Content, StylePainting, Stylized, Stylizer
from stylecore.training.data import PicturePair, TrainingData, scale_painting
from stylecore.training.refiner import Perception, train_refiner
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.watch import TrainingWatch
from stylecore.types import ImageBatch, Mask

_KEPT_SIZES: Final = 4
_LARGE_PX: Final = 1024  # above, LPIPS goes by tiles of half that

# The refiner for a picture and its photograph.
RefinerFor = Callable[[Content, RgbImage], Refiner]


@dataclass(frozen=True)
class Refining:
    """How pictures are refined.

    Attributes:
        refiner_for: the refiner of a picture.
        alphas: strengths to try.
        style_scale: the paintings' longest side over the picture's, as the job has it.
        device: to work on.
    """

    refiner_for: RefinerFor
    alphas: Sequence[float] = ALPHAS
    style_scale: float = 1.0
    device: torch.device = torch.device("cpu")


class RefinedStylizer:
    """Refines each picture of a stylizer, where the gate lets it and a painting goes.

    Args:
        stylizer: makes the pictures.
        paintings: of the style.
        refining: how.
    """

    def __init__(
        self, stylizer: Stylizer, paintings: Sequence[StylePainting], refining: Refining
    ) -> None:
        self._stylizer = stylizer
        self._paintings = paintings
        self._refining = refining
        self._measures_at = lru_cache(_KEPT_SIZES)(self._make_measures)

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``; each picture comes with what the gate saw."""
        given: dict[int, Content] = {}

        def noted() -> Iterator[Content]:
            for content in contents:
                given[content.key] = content
                yield content

        for made in self._stylizer.stylize(noted()):
            content = given.pop(made.key)
            yield made if made.pixels is None else self._refine(content, made, made.pixels)

    def score(self, content: Content, picture: RgbImage) -> QualityScores | None:
        """As ``Stylizer.score``."""
        return self._stylizer.score(content, picture)

    def _refine(self, content: Content, made: Stylized, pixels: RgbImage) -> Stylized:
        started = time.perf_counter()
        try:
            refined = self._refine_pixels(content, pixels)
        except JobError as error:  # a picture too small to train on, or a training gone astray
            return _leave(made, str(error))
        except (MemoryError, RuntimeError) as fault:
            if not is_memory_fault(fault):
                raise
            return _leave(made, "memory ran out")
        (picture,) = from_batch(refined.picture)
        seconds = (made.seconds or 0.0) + time.perf_counter() - started
        return replace(made, pixels=picture, refinement=refined.choice, seconds=seconds)

    def _refine_pixels(self, content: Content, pixels: RgbImage) -> Refined:
        refiner = self._refining.refiner_for(content, pixels)
        stylized, photograph = self._to_batch(pixels), self._to_batch(content.pixels)
        measures = self._measures_at(max(pixels.shape[:2]))
        where, alphas = self._find_painted(content), self._refining.alphas
        return refine_picture(refiner, stylized, photograph, measures, alphas, where)

    def _make_measures(self, longest_side_px: int) -> GateMeasures:
        side_px = max(1, round(longest_side_px * self._refining.style_scale))
        paintings = [
            scale_painting(painting.pixels, side_px, painting.mask).to(self._refining.device)
            for painting in self._paintings
        ]
        lpips = default_lpips(self._refining.device)
        is_large = longest_side_px > _LARGE_PX
        distance = TiledLpips(lpips, _LARGE_PX // 2) if is_large else lpips
        return GateMeasures(TextureMeasures(paintings), distance)

    def _find_painted(self, content: Content) -> Mask | None:
        """How far any painting goes onto each pixel: the largest of the masks; None is fully."""
        masks = [mask for mask in content.masks if mask is not None]
        if not masks or len(masks) < len(content.masks):
            return None
        return torch.tensor(np.max(masks, axis=0), device=self._refining.device)[None, None] / 255

    def _to_batch(self, image: RgbImage) -> ImageBatch:
        return to_batch([image]).to(self._refining.device)


def _leave(made: Stylized, reason: str) -> Stylized:
    """The picture as it was, and why."""
    return replace(made, note="; ".join(filter(None, (made.note, f"not refined: {reason}"))))


def train_on_each_picture(
    paintings: Sequence[StylePainting],
    settings: TrainRefinerSettings,
    device: torch.device,
    watch: Watch,
    style_scale: float = 1.0,
) -> RefinerFor:
    """A refiner of its own for each picture, trained when it is asked for.

    Asking raises ``RunStoppedError`` when the watch's stop flag is set, and ``JobError`` where a
    picture has a side under 16 px or its training goes astray.

    Args:
        paintings: of the style.
        settings: of each training.
        device: to train on.
        watch: stop flag.
        style_scale: as of ``Refining``.
    """
    images, masks = [one.pixels for one in paintings], [one.mask for one in paintings]
    perception = Perception(default_vgg16(device), default_lpips(device))
    training_watch = TrainingWatch(should_stop=watch.should_stop)

    def train(content: Content, pixels: RgbImage) -> Refiner:
        pair = PicturePair("the picture", pixels, content.pixels)
        data = TrainingData([pair], images, style_scale=style_scale, masks=masks)
        return train_refiner(data, perception, settings, training_watch).refiner.to(device)

    return train


def open_refining(
    job: StylizeJob,
    paintings: Sequence[StylePainting],
    weights: bytes | None,
    watch: Watch,
) -> Refining:
    """How a job's pictures are refined.

    Args:
        job: with ``refine``.
        paintings: of the style.
        weights: the file of the refiner; None with ``per-image``.
        watch: stop flag.

    Raises:
        JobError: the file is not a refiner, or the device is not here.
    """
    refine, device = job.refine, find_device(job.device)
    style_scale = job.optimize.style_scale
    if refine is None or weights is None:
        num_steps = refine.num_steps if refine else 0
        settings = TrainRefinerSettings(num_steps=num_steps, seed=job.seed)
        refiner_for = train_on_each_picture(paintings, settings, device, watch, style_scale)
        return Refining(refiner_for, style_scale=style_scale, device=device)
    refiner, card = load_refiner(weights, refine.uri)
    refiner.to(device)
    alphas = ALPHAS if refine.strength == "picture" else tuple(filter(None, [card.alpha]))
    return Refining(lambda *_: refiner, alphas, style_scale, device)
