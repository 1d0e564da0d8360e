"""The way of each photograph through sizes and tries, from its content to its picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from torch.nn import functional

from stylecore.config import StylizeJob
from stylecore.errors import NonFiniteError, OutOfMemoryError, RowError
from stylecore.images.codec import RgbImage, resample
from stylecore.images.tensors import crop, from_batch, pad_to_minimum, to_batch
from stylecore.optimize.findings import MinimizeResult
from stylecore.optimize.memory import is_memory_fault
from stylecore.optimize.pool import Candidate, PictureClock
from stylecore.optimize.starts import StartInputs, make_start
from stylecore.optimize.watch import Watch
from stylecore.perception.objective import Objective
from stylecore.perception.tiled import TiledObjective
from stylecore.settings import OptimizeSettings
from stylecore.stylizer.protocol import Content, Stylized, StylizerInputs, content_at
from stylecore.stylizer.subject import Studio, Subject
from stylecore.types import ImageBatch

# Small steps from the photograph, without curvature that may have been learned from overflow.
_SAFER: Final = {"optimizer": "adam", "init": "content"}
_SMALLEST_SCALE_PX: Final = 64  # coarser pictures have nothing of a painting left
_FLAT: Final = 1.0  # standard deviation, in gray levels, under which a picture shows nothing


@dataclass(eq=False)
class Course:
    """One photograph on its way.

    Attributes:
        content: at full size.
        sides_px: longest side at each scale, coarse to fine.
        clock: of this picture.
        subject: at the present scale.
        coarse: what the scale before came to, to begin with.
        scale: index into ``sides_px``.
        evaluations: at earlier scales and tries.
        note: why it was made again from a safer setting; None: it was not.
        error: why it was given up between two scales.
    """

    content: Content
    sides_px: list[int]
    clock: PictureClock
    subject: Subject = field(init=False)
    coarse: ImageBatch | None = None
    scale: int = 0
    evaluations: int = 0
    note: str | None = None
    error: RowError | None = None

    @property
    def pixels(self) -> RgbImage:
        """The photograph at full size."""
        return self.content.pixels


class Courses:
    """Brings photographs to the pool, from scale to scale, and their pictures back.

    Args:
        job: its settings, seed and limits.
        studio: prepares photographs.
        inputs: files that the settings name.
        watch: intermediate pictures and stop flag.
    """

    def __init__(
        self, job: StylizeJob, studio: Studio, inputs: StylizerInputs, watch: Watch
    ) -> None:
        self._refused: list[Stylized] = []
        self._job, self._studio, self._inputs, self._watch = job, studio, inputs, watch
        self._courses: dict[int, Course] = {}

    def take_refused(self) -> Iterator[Stylized]:
        """What could not even begin since this was asked last."""
        while self._refused:
            yield self._refused.pop()

    def begin(self, contents: Iterable[Content]) -> Iterator[Candidate]:
        """First candidates; what cannot even begin is for ``take_refused``."""
        for content in contents:
            self._watch.check_stop()
            sides_px = find_scales(max(content.pixels.shape[:2]), self._job.optimize.num_scales)
            clock = PictureClock(self._job.limits.picture_seconds)
            course = Course(content, sides_px, clock)
            candidate = self._candidate(course)
            if candidate is None:
                self._refused.append(Stylized(content.key, None, error=course.error))
            else:
                self._courses[content.key] = course
                yield candidate

    def follow_up(self, candidate: Candidate, result: MinimizeResult) -> Candidate | None:
        """The next scale, or another try; None: the picture is done."""
        course = self._courses[candidate.key]
        course.evaluations += result.evaluations[0]
        (error,) = result.errors
        if isinstance(error, OutOfMemoryError):
            return self._with_less_memory(course, candidate.objective)
        reason = self._why_again(course, result)
        if reason is not None:
            course.note = f"made again with Adam from the photograph: {reason}"
            course.coarse = None
            return self._candidate(course)
        if error is not None or course.scale + 1 == len(course.sides_px):
            return None
        course.coarse = self._crop(course, result.images)
        course.scale += 1
        return self._candidate(course)

    def finish(self, candidate: Candidate, result: MinimizeResult) -> Stylized:
        """What became of a photograph whose last result that is."""
        course = self._courses.pop(candidate.key)
        error = course.error or result.errors[0]
        if error is not None:
            return Stylized(candidate.key, None, course.evaluations, error)
        return Stylized(
            candidate.key,
            self._picture(course, result.images),
            course.evaluations,
            note=course.note,
            seconds=course.clock.spent_s,
        )

    def _candidate(self, course: Course) -> Candidate | None:
        """The photograph at its present scale; None, with the course's error, if it cannot be."""
        height, width = course.pixels.shape[:2]
        try:
            subject = course.subject = self._studio.prepare(self._content(course))
            start = self._start(course, subject)
        except OutOfMemoryError as too_large:
            course.error = too_large
            return None
        except (MemoryError, RuntimeError) as fault:
            if not is_memory_fault(fault):
                raise
            reason = f"{width} x {height} px do not fit in memory: lower max_side_px"
            course.error = OutOfMemoryError("", reason)
            return None
        return Candidate(
            course.content.key,
            start,
            subject.objective,
            self._settings(course),
            stage=course.scale,
            clock=course.clock,
            show=self._show(course),
        )

    def _content(self, course: Course) -> Content:
        """The photograph and its masks at the present scale."""
        return content_at(course.content, course.sides_px[course.scale])

    def _settings(self, course: Course) -> OptimizeSettings:
        changes = {} if course.note is None else _SAFER
        return self._job.optimize.model_copy(update=dict(changes))

    def _start(self, course: Course, subject: Subject) -> ImageBatch:
        if course.coarse is not None:
            size = self._content(course).pixels.shape[:2]
            larger = functional.interpolate(
                course.coarse, size, mode="bicubic", align_corners=False
            )
            return pad_to_minimum(larger.clamp(0, 1))
        given = self._content(course).start
        if given is not None and course.note is None:
            return pad_to_minimum(to_batch([given]).to(subject.photograph))
        inputs = StartInputs(
            subject.style.paintings, self._inputs.init, self._job.seed, subject.style.masks
        )
        return make_start(self._settings(course).init, subject.photograph, inputs)

    def _with_less_memory(self, course: Course, objective: Objective) -> Candidate | None:
        """Once more by tiles, or by smaller ones; None: there are none."""
        whole_px = max(self._content(course).pixels.shape[:2])
        failed_px = objective.core_px if isinstance(objective, TiledObjective) else whole_px
        return self._candidate(course) if self._studio.use_smaller_tiles(failed_px) else None

    def _why_again(self, course: Course, result: MinimizeResult) -> str | None:
        """What is wrong with a picture that is worth another try; None: nothing, or it had it."""
        (error,) = result.errors
        if course.note is not None:
            return None
        if isinstance(error, NonFiniteError):
            return "the objective was not finite"
        if error is not None:
            return None
        if result.is_stalled[0]:
            return "nothing better than the start was found"
        if _is_flat(self._picture(course, result.images)) and not _is_flat(course.pixels):
            return "the picture was of one color all over"
        return None

    def _show(self, course: Course) -> Callable[[int, ImageBatch], None] | None:
        watch = self._watch
        show = watch.on_picture
        if show is None or watch.save_every == 0:
            return None

        def show_some(evaluations: int, best: ImageBatch) -> None:
            number = course.evaluations + evaluations
            if number % watch.save_every == 0:
                show(course.content.key, number, self._picture(course, best))

        return show_some

    def _crop(self, course: Course, images: ImageBatch) -> ImageBatch:
        return crop(images, *self._content(course).pixels.shape[:2])

    def _picture(self, course: Course, images: ImageBatch) -> RgbImage:
        """Pixels at full size, whatever the present scale."""
        (picture,) = from_batch(self._crop(course, course.subject.finish(images)))
        height, width = course.pixels.shape[:2]
        if picture.shape[:2] == (height, width):
            return picture
        return resample(picture, width, height)


def find_scales(longest_side_px: int, num_scales: int) -> list[int]:
    """Longest sides from coarse to fine, each half the next one; small ones left out."""
    sides = [round(longest_side_px / 2**halvings) for halvings in reversed(range(num_scales))]
    return [side for side in sides[:-1] if side >= _SMALLEST_SCALE_PX] + sides[-1:]


def _is_flat(image: RgbImage) -> bool:
    return float(image.std(axis=(0, 1)).max()) < _FLAT
