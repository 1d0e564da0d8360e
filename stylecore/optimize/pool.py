"""Photographs of all sizes through batches of one size: who is done leaves, who waits enters.

A picture may go through several batches: at one size after the other, or once more from a safer
setting. Where memory runs out, a batch begins again as two, and batches stay that small.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch

from stylecore.errors import OutOfMemoryError
from stylecore.optimize.findings import MinimizeResult
from stylecore.optimize.loop import Minimization, report
from stylecore.optimize.memory import is_memory_fault
from stylecore.optimize.watch import Watch
from stylecore.perception.joining import join_objectives
from stylecore.perception.objective import Objective
from stylecore.settings import OptimizeSettings
from stylecore.types import ImageBatch, PerImage

_UNLIMITED: Final = 2**31


@dataclass(eq=False)
class PictureClock:
    """The time that one picture takes, and may take, over all batches it is in.

    Attributes:
        seconds: how long it may be worked on; None is without end.
        worked_s: how long it has been worked on, waiting left out.
        spent_s: its share of that: pictures of a batch divide the time among them.
    """

    seconds: float | None = None
    worked_s: float = field(default=0.0, init=False)
    spent_s: float = field(default=0.0, init=False)

    def is_late(self) -> bool:
        """Whether its time is up."""
        return self.seconds is not None and self.worked_s >= self.seconds


@dataclass(frozen=True, eq=False)
class Candidate:
    """One picture to minimise at one size.

    Attributes:
        key: whatever the caller tells it by.
        start: where to begin, shape (1, 3, h, w).
        objective: of this picture.
        settings: update rule and evaluations.
        stage: how many sizes or tries it has been through; who is furthest goes first.
        clock: its time, over all stages.
        show: called with its evaluations at this size and the best picture so far, after each.
    """

    key: int
    start: ImageBatch
    objective: Objective
    settings: OptimizeSettings
    stage: int = 0
    clock: PictureClock = field(default_factory=PictureClock)
    show: Callable[[int, ImageBatch], None] | None = None

    @property
    def group(self) -> Hashable:
        """Candidates of one group can be in one batch."""
        settings = self.settings
        kind = type(self.objective)
        rule = (settings.optimizer, settings.num_evaluations)
        num_regions = len(self.objective.style.regions)  # one without masks, where styles blend
        return (self.stage, tuple(self.start.shape), kind, num_regions, rule)


class Pool:
    """Minimises candidates, several of one group at once.

    Args:
        candidates: drawn as there is room; at most one batch of them waits.
        capacity: how many such candidates may be in a batch.
        follow_up: what a picture goes on with after a result, or None if it is done.
        watch: progress, stop flag, and a deadline for all.
    """

    def __init__(
        self,
        candidates: Iterator[Candidate],
        capacity: Callable[[Candidate], int],
        follow_up: Callable[[Candidate, MinimizeResult], Candidate | None],
        watch: Watch,
    ) -> None:
        self._candidates = candidates
        self._capacity = capacity
        self._follow_up = follow_up
        self._watch = watch
        self._most: dict[Hashable, int] = {}  # of groups for which memory was short
        self._waiting: dict[Hashable, deque[Candidate]] = {}

    def run(self) -> Iterator[tuple[Candidate, MinimizeResult]]:
        """Each picture's last candidate and what came of it, as they get done.

        Raises:
            RunStoppedError: the watch's stop flag was set.
        """
        while self._waiting or self._draw():
            # The furthest first, so that pictures in the making do not pile up.
            group = max(self._waiting, key=lambda group: self._waiting[group][0].stage)
            yield from self._work_through(group)

    def _draw(self) -> Candidate | None:
        """Let one more wait, if there is one."""
        candidate = next(self._candidates, None)
        if candidate is not None:
            self._wait(candidate)
        return candidate

    def _wait(self, candidate: Candidate) -> None:
        self._waiting.setdefault(candidate.group, deque()).append(candidate)

    def _take(self, group: Hashable, number: int, room: int) -> list[Candidate]:
        """At most ``number`` of a group, while at most ``room`` of all groups wait."""
        while len(self._waiting.get(group, ())) < number:
            if sum(map(len, self._waiting.values())) >= room or self._draw() is None:
                break
        queue = self._waiting.get(group, deque())
        taken = [queue.popleft() for _ in range(min(number, len(queue)))]
        if not queue:
            self._waiting.pop(group, None)
        return taken

    def _work_through(self, group: Hashable) -> Iterator[tuple[Candidate, MinimizeResult]]:
        """Work on a group until none of it is left and none comes, or memory runs out."""
        most = min(self._capacity(self._waiting[group][0]), self._most.get(group, _UNLIMITED))
        batch = _Batch(self._take(group, most, most), self._watch)
        while batch.members:
            self._watch.check_stop()
            if not batch.step():
                yield from self._begin_again(group, batch.members)
                return
            finished = batch.finished()
            for place in finished:
                yield from self._done(batch.members[place], batch.result(place))
            batch.replace(finished, self._take(group, len(finished), most))

    def _done(
        self, candidate: Candidate, result: MinimizeResult
    ) -> Iterator[tuple[Candidate, MinimizeResult]]:
        following = self._follow_up(candidate, result)
        if following is None:
            yield candidate, result
        else:
            self._wait(following)

    def _begin_again(
        self, group: Hashable, members: Sequence[Candidate]
    ) -> Iterator[tuple[Candidate, MinimizeResult]]:
        """All members wait again, for batches of half the size; a single one does not fit."""
        if len(members) == 1:
            yield from self._done(members[0], _out_of_memory(members[0].start))
            return
        self._most[group] = len(members) // 2
        for member in members:
            self._wait(member)


class _Batch:
    """Candidates of one group that are being minimised together."""

    def __init__(self, members: list[Candidate], watch: Watch) -> None:
        self.members = members
        self._watch = watch
        self._objective: Objective | None = None  # joined again when members have changed
        self._batch: Minimization | None = None
        self._changes: list[Callable[[Minimization], None]] = []

    def step(self) -> bool:
        """Evaluate everybody once; False if memory ran out, which makes the batch useless."""
        started = time.perf_counter()
        try:
            batch, totals = self._evaluate()
        except (MemoryError, RuntimeError) as fault:
            if not is_memory_fault(fault):
                raise
            self._objective = self._batch = None
            return False
        self._report(batch, totals)
        seconds = time.perf_counter() - started
        for member in self.members:
            member.clock.worked_s += seconds
            member.clock.spent_s += seconds / len(self.members)
        return True

    def finished(self) -> list[int]:
        """Places of those who are done, or given up."""
        if self._batch is None:
            return []
        found = self._batch.found
        is_late = self._watch.is_late()
        late = [is_late or member.clock.is_late() for member in self.members]
        found.give_up_late(torch.tensor(late).to(found.active))
        return (~found.active).nonzero().flatten().tolist()

    def result(self, place: int) -> MinimizeResult:
        """What came of one of the finished."""
        if self._batch is None:
            raise AssertionError("nobody is finished before the first evaluation")
        return self._batch.found.result([place])

    def replace(self, places: Sequence[int], newcomers: Sequence[Candidate]) -> None:
        """Let newcomers take the first of those places; who is at the others leaves.

        What that takes of memory is taken with the next step.
        """
        if not places:
            return
        taken = dict(zip(places, newcomers, strict=False))
        for place, newcomer in taken.items():
            self.members[place] = newcomer
        leaving = set(places) - set(taken)
        staying = [place for place in range(len(self.members)) if place not in leaving]
        if taken:
            starts = [newcomer.start for newcomer in newcomers]
            self._changes.append(lambda batch: batch.enter(list(taken), torch.cat(starts)))
        if leaving:
            self._changes.append(lambda batch: batch.keep(staying))
        self.members = [self.members[place] for place in staying]
        self._objective = None

    def _evaluate(self) -> tuple[Minimization, PerImage]:
        batch = self._batch or self._begin()
        for change in self._changes:
            change(batch)
        self._changes.clear()
        if self._objective is None:
            self._objective = join_objectives([member.objective for member in self.members])
        objective, self._batch = self._objective, batch
        return batch, batch.step(lambda images: objective(images).total)

    def _begin(self) -> Minimization:
        starts = torch.cat([member.start for member in self.members])
        return Minimization(starts, self.members[0].settings)

    def _report(self, batch: Minimization, totals: PerImage) -> None:
        key_at = {place: member.key for place, member in enumerate(self.members)}
        report(self._watch, batch, totals, key_at)
        for place, member in enumerate(self.members):
            if member.show is not None:
                best = batch.found.best[place : place + 1]
                member.show(int(batch.found.evaluations[place]), best)


def _out_of_memory(start: ImageBatch) -> MinimizeResult:
    height, width = start.shape[-2:]
    reason = f"{width} x {height} px do not fit in memory: lower max_side_px"
    nothing = torch.full_like(start[:, 0, 0, 0], torch.inf)
    return MinimizeResult(start, [0], nothing, [OutOfMemoryError("", reason)], [False])
