"""How a large run is cut into parts for child runs, and what becomes of the parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import StateType

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks import child_runs
from tasks.child_runs import ChildRuns, Part, split
from tasks.engines import Place
from tasks.leaving import Budget
from tasks.shard_work import ShardRequest


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_runs, "MAX_TASK_RUNS", 3)


@pytest.mark.parametrize(
    ("num_groups", "sizes"),
    [(0, [0]), (1, [1]), (3, [3]), (4, [2, 2]), (7, [2, 2, 3]), (9, [3, 3, 3]), (10, [2, 3, 2, 3])],
)
def test_parts_are_about_equal_and_none_has_too_many_task_runs(
    num_groups: int, sizes: list[int]
) -> None:
    groups = [[number] for number in range(num_groups)]
    parts = split(groups)
    assert [len(part) for part in parts] == sizes
    assert [group for part in parts for group in part] == groups


@dataclass(eq=False)
class Deployed:
    """The deployment of child runs, whose runs are what a test says they are."""

    states: dict[UUID, StateType] = field(default_factory=dict)
    given: list[list[int]] = field(default_factory=list)

    def start(self, _name: str, parameters: dict[str, Any], **_: object) -> SimpleNamespace:
        run = SimpleNamespace(id=uuid4())
        self.states[run.id] = StateType.RUNNING
        self.given.append(parameters["numbers"])
        return run

    def end_all(self, state: StateType) -> None:
        self.states = dict.fromkeys(self.states, state)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    found = Deployed()
    monkeypatch.setattr(child_runs, "_is_deployed", lambda: True)
    monkeypatch.setattr(child_runs, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(child_runs, "_LISTING_SHARE", float("inf"))
    monkeypatch.setattr(child_runs, "run_deployment", found.start)
    monkeypatch.setattr(child_runs, "_state_of", lambda run_id, _: found.states[run_id])
    return found


@pytest.fixture
def children(tmp_path: Path, deployed: Deployed) -> Iterator[ChildRuns]:
    """Of three parts; nothing is done yet."""
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    request = ShardRequest(ledger.run_uri, 0, uuid4().hex)
    parts: list[Part] = [[[3], [4]], [[5], [6]], [[7]]]
    with ChildRuns(ledger, request, Place(), parts) as found:
        yield found


def drain(children: ChildRuns) -> list[Part]:
    parts = []
    while (part := children.take_back()) is not None:
        parts.append(part)
    return parts


@pytest.mark.parametrize("state", [StateType.CRASHED, StateType.FAILED, StateType.CANCELLED])
def test_what_children_that_broke_down_left_is_done_by_the_parent(
    children: ChildRuns, deployed: Deployed, state: StateType
) -> None:
    assert deployed.given == [[3, 4], [5, 6], [7]]
    deployed.end_all(state)
    children.look()
    assert drain(children) == [[[3], [4]], [[5], [6]], [[7]]]
    assert len(deployed.given) == 3  # none is started again: its machine may not reach the store


def test_what_a_child_found_others_at_is_looked_at_again_and_what_it_did_is_not(
    children: ChildRuns, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunLedger, "result_files", lambda _: {3: ["a"], 5: ["b"], 6: ["c"]})
    monkeypatch.setattr(RunLedger, "outcomes_of", lambda *_: [])
    monkeypatch.setattr(child_runs, "_AT_ONCE", 0)
    deployed.end_all(StateType.COMPLETED)
    children.look()
    assert drain(children) == [[[4]], [[7]]]


def test_a_child_that_began_meanwhile_is_left_alone_and_one_that_nobody_began_is_not(
    children: ChildRuns, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, *others = deployed.states
    deployed.states |= dict.fromkeys(others, StateType.SCHEDULED)
    assert children.take_back() == []  # somebody may begin them yet
    ended: list[UUID] = []
    monkeypatch.setattr(child_runs, "_end", lambda run_id, _: ended.append(run_id))
    monkeypatch.setattr(child_runs, "_BEGIN_S", 0.0)
    assert [children.take_back(), children.take_back()] == [[[5], [6]], [[7]]]
    assert ended == others
    assert children.take_back() == []
    assert deployed.states[begun] == StateType.RUNNING


def test_after_the_budget_no_child_is_started_and_nothing_is_taken_back(
    tmp_path: Path, deployed: Deployed
) -> None:
    ledger = RunLedger(Store(), str(tmp_path), "0123")
    request = ShardRequest(ledger.run_uri, 0, uuid4().hex, budget=Budget(1, 0.0))
    with ChildRuns(ledger, request, Place(), [[[1]]]) as children:
        assert children.take_back() is None
    assert deployed.given == []
