"""Runs of hundreds of task runs: parts of them are given to child runs, on whatever machine.

Prefect's record of a flow run with thousands of task runs is slow and loses some of them
(docs/adr/0003). The parent works too, and takes back what no child has begun or goes on with: so a
run ends also where no other worker is free.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Cancelling

from stylecore.batch.claims import holder_of
from stylecore.batch.ledger import RunLedger
from tasks.engines import Place
from tasks.progress import BOARD, tally_outcomes
from tasks.shard_work import ShardRequest
from tasks.stopping import raise_stop_sign, stop_flag

DEPLOYMENT: Final = "stylize-shards/child"
MAX_TASK_RUNS: Final = 300
_AT_ONCE: Final = 4
_LOOK_EVERY_S: Final = 5.0
_BEGIN_S: Final = 30.0  # for somebody to begin a child
_PATIENCE_S: Final = 120.0  # for a child that works on no shard
_LISTING_SHARE: Final = 0.1  # of the time may go into looking for what children did
Part = Sequence[Sequence[int]]


def split(groups: Part) -> list[Part]:
    """Parts of about equal size, none larger than a flow run should be; at least one."""
    count = max(1, -(-len(groups) // MAX_TASK_RUNS))
    return [groups[len(groups) * n // count : len(groups) * (n + 1) // count] for n in range(count)]


@dataclass(slots=True)
class _Child:
    run_id: UUID
    part: Part
    state: StateType = StateType.SCHEDULED
    seen_at_work: float = 0.0

    def pending(self, done: set[int]) -> Part:
        """What is left of the part."""
        left = [[number for number in group if number not in done] for group in self.part]
        return [group for group in left if group]


class ChildRuns:
    """Child runs of the flow run that asks, and the parts that none of them has.

    Args:
        ledger: the run.
        request: what the requests of its shards have in common.
        place: where children compute.
        parts: what is to be given away; nothing of it is, where there is no deployment for it.
    """

    def __init__(
        self, ledger: RunLedger, request: ShardRequest, place: Place, parts: Sequence[Part]
    ) -> None:
        self._ledger = ledger
        self._request = request
        self._place = place
        self._waiting = deque(parts)
        self._children: list[_Child] = []
        self._before: dict[int, int] = {}  # files of results by shard: a retry adds another
        self._done: set[int] = set()
        self._look_at = 0.0
        self._can_start = bool(parts) and _is_deployed()

    def __enter__(self) -> Self:
        if self._waiting:
            found = self._ledger.result_files()
            self._before = {number: len(files) for number, files in found.items()}
        self.look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None and self._children:
            raise_stop_sign(self._ledger, self._request.session)
            for child in self._children:
                _end(child.run_id, Cancelling())

    def look(self) -> None:
        """See what children did, and start more; asks nobody where that was just done."""
        if time.monotonic() < self._look_at or not (self._children or self._waiting):
            return
        started = time.monotonic()
        self._count_done()
        self._refresh()
        while self._waiting and self._may_start():
            self._start(self._waiting.popleft())
        spent = time.monotonic() - started
        self._look_at = time.monotonic() + max(_LOOK_EVERY_S, spent / _LISTING_SHARE)

    def take_back(self) -> Part | None:
        """A part that no child works on, perhaps after some seconds; None when all is done.

        An empty part says that children are at work: ask again.
        """
        budget = self._request.budget
        if budget.is_used_up:
            self._waiting.clear()  # children end by themselves, and are waited for until they have
        if self._stop.is_set() or budget.is_overdrawn or not (self._waiting or self._children):
            return None
        if not self._waiting:
            self._look_at = 0.0
            self.look()
        if self._waiting:
            return self._waiting.popleft()
        for child in self._children:
            if not budget.is_used_up and not self._is_at_work(child):
                return self._take_from(child)
        if self._children:
            self._stop.wait(_LOOK_EVERY_S)
        return []

    def _take_from(self, child: _Child) -> Part:
        # Where nobody began one, nobody will begin another.
        self._can_start = self._can_start and child.state != StateType.SCHEDULED
        self._children.remove(child)
        _end(child.run_id, Cancelled(message="the parent run does it"))
        return child.pending(self._done)

    @property
    def _stop(self) -> threading.Event:
        return stop_flag(self._request.session)

    def _may_start(self) -> bool:
        is_over = self._request.budget.is_used_up or self._stop.is_set()
        return self._can_start and not is_over and len(self._children) < _AT_ONCE

    def _is_at_work(self, child: _Child) -> bool:
        """Whether it goes on: a child whose process died may be called running for ever."""
        if child.state == StateType.SCHEDULED:
            return time.monotonic() - child.seen_at_work < _BEGIN_S
        first = [number for group in child.pending(self._done) for number in group][: 2 * _AT_ONCE]
        if any(holder_of(self._ledger, number) for number in first):
            child.seen_at_work = time.monotonic()
        return time.monotonic() - child.seen_at_work < _PATIENCE_S

    def _start(self, part: Part) -> None:
        numbers = [number for group in part for number in group]
        like, place = asdict(self._request), asdict(self._place)
        parameters = {"numbers": numbers, "like": like, "place": place}
        name = f"shards {numbers[0]:05d} to {numbers[-1]:05d} of {self._ledger.run_id}"
        try:
            run = run_deployment(DEPLOYMENT, parameters=parameters, timeout=0, flow_run_name=name)
        except Exception as error:  # then the parent does it
            get_run_logger().warning("no child run for %s: %s", name, error)
            self._can_start = False
            self._waiting.appendleft(part)
        else:
            run = cast(FlowRun, run)  # a coroutine only where there is an event loop
            self._children.append(_Child(run.id, part, seen_at_work=time.monotonic()))

    def _refresh(self) -> None:
        """Ask for the states of the children; what those that ended left is to be done again."""
        for child in list(self._children):
            child.state = _state_of(child.run_id, child.state)
            left = child.pending(self._done)
            if left and child.state not in TERMINAL_STATES:
                continue
            self._children.remove(child)
            if left:
                self._waiting.append(left)
                # One that broke down would again: its machine may not reach the store.
                self._can_start = self._can_start and child.state == StateType.COMPLETED

    def _count_done(self) -> None:
        """Count the outcomes that children wrote: those of the newest file of a shard."""
        found = self._ledger.result_files()
        parts = [child.pending(self._done) for child in self._children]
        given = {number for part in parts for group in part for number in group}
        more = {number for number in given & found.keys() if self._has_more(number, found[number])}
        for number in more:
            outcomes = self._ledger.outcomes_of(number, found[number][-1:])
            BOARD.post(self._ledger.run_uri, number, tally_outcomes(outcomes))
        self._done |= more

    def _has_more(self, number: int, files: Sequence[str]) -> bool:
        return len(files) > self._before.get(number, 0)


def _is_deployed() -> bool:
    try:
        with get_client(sync_client=True) as client:
            client.read_deployment_by_name(DEPLOYMENT)
    except (ObjectNotFound, httpx.HTTPError) as error:
        get_run_logger().info("no deployment %s, no child runs: %s", DEPLOYMENT, error)
        return False
    return True


def _state_of(run_id: UUID, last: StateType) -> StateType:
    """The state of a child; as it was where the server does not answer."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run_id).state
    except ObjectNotFound:  # somebody deleted it
        return StateType.CANCELLED
    except httpx.HTTPError as error:
        get_run_logger().warning("child run %s: %s", run_id, error)
        return last
    return StateType.SCHEDULED if state is None else state.type


def _end(run_id: UUID, state: State[Any]) -> None:
    """End a child that has not ended; one that cannot be told ends when its work is done."""
    if _state_of(run_id, StateType.RUNNING) in TERMINAL_STATES:
        return
    with suppress(httpx.HTTPError, ObjectNotFound), get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, state, force=state.is_cancelled())
