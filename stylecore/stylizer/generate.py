"""The method that makes each picture in one pass through a trained network.

The next batch is on its way to the device before the last one is fetched from it, so that a device
that works by itself does not wait for this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from stylecore.config import StylizeJob
from stylecore.errors import JobError, OutOfMemoryError
from stylecore.generate.cards import AnyCard
from stylecore.generate.files import place_styles
from stylecore.generate.loading import ArbitraryNetwork, load_network
from stylecore.generate.networks import StyleShares
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import from_batch, to_batch
from stylecore.optimize.memory import is_memory_fault
from stylecore.optimize.watch import Watch
from stylecore.stylizer.networks import find_device
from stylecore.stylizer.passes import ArbitraryPass, OnePass, TrainedPass
from stylecore.stylizer.protocol import Content, StylePainting, Stylized
from stylecore.types import ImageBatch

_BATCH_SIZES: Final = {"cpu": 1, "cuda": 8}
_WAITING: Final = 4  # batches' worth of photographs of other sizes that wait for their like


@dataclass(frozen=True, eq=False)
class _Batch:
    """Photographs of one size on their way."""

    contents: Sequence[Content]
    pictures: ImageBatch
    started: float


class GeneratorStylizer:
    """Makes pictures in one style by a generator.

    Args:
        job: its generator, device and batch size.
        styles: paintings, blended by their weights: those that the generator was trained for, where
            it was, and none for the only style that it has.
        weights: the generator's file.
        watch: stop flag.

    Raises:
        JobError: the file is no generator, it takes any painting and none is named, it has no
            strength to choose, or the device is not here.
        StyleUnknownError: the generator was trained for styles, and does not know a painting.
    """

    def __init__(
        self, job: StylizeJob, styles: Sequence[StylePainting], weights: bytes, watch: Watch
    ) -> None:
        self._device = find_device(job.device)
        self._pass = _open_pass(job, styles, weights, self._device)
        self._batch_size = job.batch_size or _BATCH_SIZES[self._device.type]
        self._watch = watch

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``; photographs of one size go through together."""
        before: _Batch | None = None
        for group in group_by_size(contents, lambda: self._batch_size):
            self._watch.check_stop()
            batch = self._begin(group)
            if before is not None:
                yield from _finish(before)
            before = batch if isinstance(batch, _Batch) else None
            if not isinstance(batch, _Batch):
                yield from batch
        if before is not None:
            yield from _finish(before)

    def score(self, content: Content, picture: RgbImage) -> None:
        """Measuring would take ten times as long as making: ``stylebatch score`` does it."""

    def _begin(self, group: Sequence[Content]) -> _Batch | list[Stylized]:
        """Pictures that the device may still be at, or what became of each where memory ran out."""
        started = time.perf_counter()
        try:
            return _Batch(group, self._generate(group), started)
        except (MemoryError, RuntimeError) as fault:
            if not is_memory_fault(fault):
                raise
        if len(group) == 1:
            height, width = group[0].pixels.shape[:2]
            reason = f"{width} x {height} px do not fit in memory: lower max_side_px"
            return [Stylized(group[0].key, None, error=OutOfMemoryError("", reason))]
        self._batch_size = len(group) // 2
        halves = [group[: self._batch_size], group[self._batch_size :]]
        found: list[Stylized] = []
        for half in halves:
            batch = self._begin(half)
            found += list(_finish(batch)) if isinstance(batch, _Batch) else batch
        return found

    @torch.inference_mode()
    def _generate(self, group: Sequence[Content]) -> ImageBatch:
        photographs = to_batch([content.pixels for content in group])
        return self._pass(photographs.to(self._device, memory_format=torch.channels_last))


def _open_pass(
    job: StylizeJob, styles: Sequence[StylePainting], weights: bytes, device: torch.device
) -> OnePass:
    if job.generator is None:
        raise JobError("generator: none is named")
    network = load_network(weights, job.generator)
    if isinstance(network, ArbitraryNetwork):
        return ArbitraryPass(network, styles, job.max_side_px, job.generator.strength, device)
    return TrainedPass(network, share_styles(network.card, styles), device)


def _finish(batch: _Batch) -> Iterator[Stylized]:
    pictures = from_batch(batch.pictures)
    seconds = (time.perf_counter() - batch.started) / len(pictures)
    for content, pixels in zip(batch.contents, pictures, strict=True):
        yield Stylized(content.key, pixels, seconds=seconds)


def group_by_size(
    contents: Iterable[Content], batch_size: Callable[[], int]
) -> Iterator[list[Content]]:
    """Photographs of one size together; a few of other sizes wait meanwhile.

    Args:
        contents: in any order.
        batch_size: how many go together, as long as it stays so: it may fall on the way.
    """
    waiting: dict[tuple[int, ...], list[Content]] = {}
    for content in contents:
        group = waiting.setdefault(content.pixels.shape, [])
        group.append(content)
        most = batch_size()
        if len(group) >= most:
            yield from _pieces(waiting.pop(content.pixels.shape), most)
        elif sum(map(len, waiting.values())) > _WAITING * most:
            yield waiting.pop(max(waiting, key=lambda size: len(waiting[size])))
    for group in waiting.values():
        yield from _pieces(group, batch_size())


def _pieces(group: list[Content], most: int) -> Iterator[list[Content]]:
    for start in range(0, len(group), most):
        yield group[start : start + most]


def share_styles(card: AnyCard, styles: Sequence[StylePainting]) -> StyleShares:
    """How much of each of a generator's styles is wanted.

    Args:
        card: of the generator.
        styles: paintings; none: the only style that there is.

    Returns:
        Shape (1, number of the generator's styles), adding up to 1.

    Raises:
        StyleUnknownError: as ``place_styles``.
    """
    places = place_styles(card, "", [style.digest for style in styles])
    shares = torch.zeros(1, card.num_styles)
    for place, weight in zip(places, [style.weight for style in styles] or [1.0], strict=True):
        shares[0, place] += weight
    return shares / shares.sum()
