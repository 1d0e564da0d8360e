"""Working through a run's shards: with an engine, child runs where they are many, and others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from stylecore.batch.ledger import RunLedger
from tasks.child_runs import ChildRuns, Part, split
from tasks.engines import Engine, Place, open_engine
from tasks.fan_out import fan_out, group_shards
from tasks.publish import ProgressPublisher
from tasks.sessions import name_session
from tasks.shard_work import RETRIED, Retry, ShardRequest
from tasks.stopping import raise_stop_sign, stop_flag
from tasks.storage import open_run
from tasks.waiting import OtherWorkers


@dataclass(frozen=True, slots=True)
class Work:
    """A run that is worked on in this process.

    Attributes:
        ledger: the run.
        request: what the requests of its shards have in common.
        place: where to compute, for child runs too.
        engine: what computes.
        publisher: what shows how far it is.
    """

    ledger: RunLedger
    request: ShardRequest
    place: Place
    engine: Engine
    publisher: ProgressPublisher

    def through(self, numbers: Iterable[int], retry: Retry) -> list[int]:
        """Work through shards; returns those that somebody else works on."""
        parts = split([*group_shards(self.ledger, numbers)])
        request = replace(self.request, retry=retry)
        with ChildRuns(self.ledger, request, self.place, parts[1:]) as children:
            busy = self._fan_out(parts[0], request, children)
            while (part := children.take_back()) is not None:
                busy += self._fan_out(part, request, children)
                self.publisher.publish()
        return busy

    def until_done(self, pending: Sequence[int]) -> None:
        """Work through shards, and come back to those that others worked on meanwhile."""
        others = OtherWorkers(self.ledger, self.request.session, self.request.budget)
        while pending and not self.request.budget.is_used_up:
            pending = others.wait(self.through(pending, "no"), self.publisher)

    def _fan_out(self, part: Part, request: ShardRequest, children: ChildRuns) -> list[int]:
        busy: list[int] = []
        for found in fan_out(self.ledger, part, request, self.engine):
            busy += found
            children.look()
            self.publisher.publish()
        return busy


@contextmanager
def working(
    ledger: RunLedger, request: ShardRequest, place: Place, publisher: ProgressPublisher
) -> Iterator[Work]:
    """Be ready to work on a run; however the body ends, nothing computes on."""
    with open_engine(place) as engine:
        try:
            yield Work(ledger, request, place, engine, publisher)
        except BaseException:
            if engine.is_elsewhere:
                raise_stop_sign(ledger, request.session)
            raise
        finally:
            stop_flag(request.session).set()


def work_on_part(numbers: Sequence[int], like: ShardRequest, place: Place) -> State[dict[str, Any]]:
    """Work through some shards of a run on behalf of another flow run, which closes it.

    Args:
        numbers: the shards.
        like: the other run's request; its stop sign ends this one too.
        place: where to compute.
    """
    ledger = open_run(like.run_uri)
    session = name_session(ledger.run_id)
    request = replace(like, session=session, signs=(*like.signs, like.session))
    todo = rows_to_do(ledger, numbers, like.retry)
    publisher = ProgressPublisher(ledger, todo, f"-{numbers[0]:05d}")
    with working(ledger, request, place, publisher) as work:
        work.through(numbers, like.retry)
        was_stopped = stop_flag(session).is_set()
    publisher.publish(is_last=True)
    if was_stopped:
        return Cancelled(message="the run that this is a part of was stopped")
    done = set(numbers) & ledger.result_files().keys()
    return Completed(message=f"{len(done)} of {len(numbers)} shards are done")


def rows_to_do(ledger: RunLedger, numbers: Iterable[int], retry: Retry) -> int:
    """How many rows of some shards a request is about."""
    if retry == "no":
        return sum(ledger.record.shards[number].rows for number in numbers)
    files, is_wanted = ledger.result_files(), RETRIED[retry]
    found = (ledger.outcomes_of(number, files.get(number, [])) for number in numbers)
    return sum(is_wanted(outcome) for outcomes in found for outcome in outcomes)
