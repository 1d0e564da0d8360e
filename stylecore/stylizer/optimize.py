"""The method of Gatys et al. 2016: each photograph's pixels are changed until it has the style.

``Pool`` works on several photographs of one size at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from stylecore.batch.estimate import PixelWork
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.images.codec import RgbImage
from stylecore.images.tensors import to_batch
from stylecore.metrics.quality import QualityScores, score_picture
from stylecore.metrics.tiled import TiledLpips
from stylecore.optimize.pool import Candidate, Pool
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder
from stylecore.perception.layers import check_layers
from stylecore.perception.tiled import TiledObjective
from stylecore.stylizer.course import Courses
from stylecore.stylizer.networks import default_lpips, find_device, load_encoder
from stylecore.stylizer.protocol import Content, StylePainting, Stylized, StylizerInputs
from stylecore.stylizer.subject import Studio
from stylecore.stylizer.tiles import choose_batch_size, free_memory_bytes
from stylecore.types import ImageBatch

# Where the job leaves it open. A CPU has nothing to gain from more (docs/benchmarks.md).
_BATCH_SIZES: Final[Mapping[str, int]] = {"cpu": 1, "cuda": 8}


class OptimizeStylizer:
    """Makes pictures in one style by minimising the objective over their pixels.

    Args:
        job: its settings, seed, device and limits.
        styles: paintings at full size.
        inputs: files that the settings name.
        watch: progress, stop flag, and a deadline on top of ``limits.picture_seconds``.
        encoder: in place of the one that the settings name.

    Raises:
        JobError: the weights, a layer or the device do not exist, or an input is missing.
    """

    def __init__(
        self,
        job: StylizeJob,
        styles: Sequence[StylePainting],
        inputs: StylizerInputs,
        watch: Watch,
        encoder: Encoder | None = None,
    ) -> None:
        settings = job.optimize
        if settings.init == "image" and inputs.init is None:
            raise JobError("init: image needs the picture at init_uri, and none was given")
        self._job, self._inputs, self._watch = job, inputs, watch
        self._device = find_device(job.device)
        if encoder is None:
            encoder = load_encoder(settings, inputs.weights, self._device)
        check_layers((*settings.content_layers, *settings.style_layers), encoder.layer_names)
        self._encoder = encoder
        self._studio = Studio(self._encoder, settings, styles, self._device)

    def stylize(self, contents: Iterable[Content]) -> Iterator[Stylized]:
        """As ``Stylizer.stylize``; several photographs of one size are worked on at once."""
        courses = Courses(self._job, self._studio, self._inputs, self._watch)
        candidates = courses.begin(contents)
        pool = Pool(candidates, self._capacity, courses.follow_up, self._watch)
        for candidate, result in pool.run():
            yield courses.finish(candidate, result)
            yield from courses.take_refused()
        yield from courses.take_refused()

    def score(self, content: Content, picture: RgbImage) -> QualityScores:
        """As ``Stylizer.score``, with the losses that the picture was, or would be, made for."""
        subject = self._studio.prepare(content)
        photograph, made = self._to_batch(content.pixels), self._to_batch(picture)
        view = self._studio.view
        core_px = self._studio.core_px(content)
        lpips = default_lpips(self._device)
        distance = lpips if core_px is None else TiledLpips(lpips, core_px)
        return score_picture(view(photograph), view(made), subject.objective, distance)

    def _capacity(self, candidate: Candidate) -> int:
        """How many such pictures to work on at once."""
        if isinstance(candidate.objective, TiledObjective):
            return 1
        height_px, width_px = candidate.start.shape[-2:]
        settings, objective = candidate.settings, candidate.objective
        num_masks = sum(bool(region.guides) for region in objective.style.regions)
        num_evaluations = settings.num_evaluations or 1
        work = PixelWork(
            settings.encoder, height_px, width_px, num_evaluations, num_masks=num_masks
        )
        most = self._job.batch_size or _BATCH_SIZES[self._device.type]
        return choose_batch_size(work, most, free_memory_bytes(self._device))

    def _to_batch(self, image: RgbImage) -> ImageBatch:
        return to_batch([image]).to(self._device)
