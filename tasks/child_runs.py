"""Runs of hundreds of task runs: parts of them are given to child runs, on whatever machine.

Prefect's record of a flow run with thousands of task runs is slow and loses some of them
(docs/adr/0003). The parent works too, and takes back what no child has begun or goes on with: so a
run ends also where no other worker is free.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
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

    def pending(self, done: set[int]) -> list[int]:
        return [number for group in self.part for number in group if number not in done]


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
                _end(child, Cancelling())

    def look(self) -> None:
        """See what children did, and start more; asks nobody where that was just done."""
        if time.monotonic() < self._look_at or not (self._children or self._waiting):
            return
        started = time.monotonic()
        self._count_done()
        self._refresh()
        while self._can_start and self._waiting and len(self._children) < _AT_ONCE:
            self._start(self._waiting.popleft())
        spent = time.monotonic() - started
        self._look_at = time.monotonic() + max(_LOOK_EVERY_S, spent / _LISTING_SHARE)

    def take_back(self) -> Part | None:
        """A part that no child works on, perhaps after some seconds; None when all is done.

        An empty part says that children are at work: ask again.
        """
        stop = stop_flag(self._request.session)
        if self._request.budget.is_used_up or stop.is_set():
            return None
        if not (self._waiting or self._children):
            return None
        if self._waiting:
            return self._waiting.popleft()
        for child in self._children:
            if not self._is_at_work(child):
                self._children.remove(child)
                _end(child, Cancelled(message="the parent run does it"))
                return child.part
        stop.wait(_LOOK_EVERY_S)
        self._look_at = 0.0
        self.look()
        return []

    def _is_at_work(self, child: _Child) -> bool:
        """Whether it goes on: a child whose process died may be called running for ever."""
        if child.state == StateType.SCHEDULED:
            return False
        first = child.pending(self._done)[: 2 * _AT_ONCE]
        if any(holder_of(self._ledger, number) for number in first):
            child.seen_at_work = time.monotonic()
        return time.monotonic() - child.seen_at_work < _PATIENCE_S

    def _start(self, part: Part) -> None:
        numbers = [number for group in part for number in group]
        parameters = {
            "numbers": numbers,
            "like": asdict(self._request),
            "place": asdict(self._place),
        }
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
        """Ask for the states of the children, and forget those that ended."""
        with get_client(sync_client=True) as client:
            for child in self._children:
                state = client.read_flow_run(child.run_id).state
                child.state = state.type if state is not None else StateType.SCHEDULED
        ended = [c for c in self._children if c.state.value in _FINAL or not c.pending(self._done)]
        self._children = [child for child in self._children if child not in ended]

    def _count_done(self) -> None:
        """Count the outcomes that children wrote."""
        found = self._ledger.result_files()
        given = {number for child in self._children for number in child.pending(self._done)}
        more = {number for number in given & found.keys() if self._has_more(number, found[number])}
        for number in more:
            outcomes = self._ledger.outcomes_of(number, found[number])
            BOARD.post(self._ledger.run_uri, number, tally_outcomes(outcomes))
        self._done |= more

    def _has_more(self, number: int, files: Sequence[str]) -> bool:
        return len(files) > self._before.get(number, 0)


_FINAL: Final = frozenset(("COMPLETED", "FAILED", "CRASHED", "CANCELLED"))


def _is_deployed() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            get_run_logger().info("there is no deployment %s: no child runs", DEPLOYMENT)
            return False
    return True


def _end(child: _Child, state: object) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(child.run_id, state, force=True)  # type: ignore[arg-type]
