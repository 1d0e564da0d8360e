"""Any stylizer with a refiner behind it: what it makes goes through the gate before it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import torch

from stylecore.config import StylizeJob
from stylecore.images.codec import RgbImage
from stylecore.images.resize import resize_style
from stylecore.images.tensors import from_batch, pad_to_minimum, to_batch
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
from stylecore.training.data import PicturePair, TrainingData
from stylecore.training.refiner import Perception, train_refiner
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.watch import TrainingWatch
from stylecore.types import ImageBatch

_KEPT_SIZES: Final = 4
_LARGE_PX: Final = 1024  # above, LPIPS goes by tiles of half that
_NOT_REFINED: Final = "not refined: memory ran out"

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
    """Refines each picture of a stylizer, unless the gate finds it no better.

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
        except (MemoryError, RuntimeError) as fault:
            if not is_memory_fault(fault):
                raise
            return replace(made, note="; ".join(filter(None, (made.note, _NOT_REFINED))))
        (picture,) = from_batch(refined.picture)
        seconds = (made.seconds or 0.0) + time.perf_counter() - started
        return replace(made, pixels=picture, refinement=refined.choice, seconds=seconds)

    def _refine_pixels(self, content: Content, pixels: RgbImage) -> Refined:
        refiner = self._refining.refiner_for(content, pixels)
        stylized, photograph = self._to_batch(pixels), self._to_batch(content.pixels)
        measures = self._measures_at(max(pixels.shape[:2]))
        return refine_picture(refiner, stylized, photograph, measures, self._refining.alphas)

    def _make_measures(self, longest_side_px: int) -> GateMeasures:
        side_px = max(1, round(longest_side_px * self._refining.style_scale))
        paintings = [
            pad_to_minimum(self._to_batch(resize_style(painting.pixels, side_px)))
            for painting in self._paintings
        ]
        lpips = default_lpips(self._refining.device)
        is_large = longest_side_px > _LARGE_PX
        distance = TiledLpips(lpips, _LARGE_PX // 2) if is_large else lpips
        return GateMeasures(TextureMeasures(paintings), distance)

    def _to_batch(self, image: RgbImage) -> ImageBatch:
        return to_batch([image]).to(self._refining.device)


def train_on_each_picture(
    paintings: Sequence[StylePainting],
    settings: TrainRefinerSettings,
    device: torch.device,
    watch: Watch,
) -> RefinerFor:
    """A refiner of its own for each picture, trained when it is asked for.

    Asking raises ``RunStoppedError`` when the watch's stop flag is set.
    """
    images = [painting.pixels for painting in paintings]
    perception = Perception(default_vgg16(device), default_lpips(device))
    training_watch = TrainingWatch(should_stop=watch.should_stop)

    def train(content: Content, pixels: RgbImage) -> Refiner:
        data = TrainingData([PicturePair("the picture", pixels, content.pixels)], images)
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
        refiner_for = train_on_each_picture(paintings, settings, device, watch)
        return Refining(refiner_for, style_scale=style_scale, device=device)
    refiner, card = load_refiner(weights, refine.uri)
    refiner.to(device)
    alphas = ALPHAS if refine.strength == "picture" else tuple(filter(None, [card.alpha]))
    return Refining(lambda *_: refiner, alphas, style_scale, device)
