"""How shards become task runs: full ones by themselves, tiny ones together, and their names."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Running

from stylecore.batch.ledger import PlannedShard, PlannedStyle, RunLedger, RunRecord
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from tasks.engines import Engine
from tasks.fan_out import fan_out, group_shards, label_group
from tasks.progress import BOARD, Tally
from tasks.shard_work import ShardRequest


def ledger_of(sizes: list[int], rows_per_shard: int, styles: list[int] | None = None) -> RunLedger:
    """A ledger that was planned with shards of these sizes, and is nowhere."""
    of_style = styles or [0] * len(sizes)
    ledger = RunLedger(Store(), "/out", "0123")
    ledger.record = RunRecord(
        run_id="0123",
        created_at=datetime.now(UTC),
        versions={},
        job=StylizeJob(manifest_uri="/in/", output_uri="/out"),
        manifest_digest="",
        inputs_digest="",
        rows=sum(sizes),
        planned=sum(sizes),
        duplicates=0,
        rejected={},
        rows_per_shard=rows_per_shard,
        styles=tuple(
            PlannedStyle(name=f"style{n}", uris=(f"/s/{n}.jpg",), weights=(1.0,))
            for n in range(max(of_style, default=0) + 1)
        ),
        shards=tuple(
            PlannedShard(style_index=style, rows=rows)
            for style, rows in zip(of_style, sizes, strict=True)
        ),
    )
    return ledger


@pytest.mark.parametrize(
    ("sizes", "rows_per_shard", "expected"),
    [
        ([], 10, []),
        ([10, 10, 3], 10, [[0], [1], [2]]),
        ([4, 4, 4, 4, 4], 10, [[0, 1], [2, 3], [4]]),
        ([1, 9, 1], 10, [[0, 1], [2]]),
        ([1] * 120, 1000, [[*range(50)], [*range(50, 100)], [*range(100, 120)]]),
    ],
)
def test_tiny_shards_share_a_task_run_up_to_a_full_shards_rows(
    sizes: list[int], rows_per_shard: int, expected: list[list[int]]
) -> None:
    ledger = ledger_of(sizes, rows_per_shard)
    assert list(group_shards(ledger, range(len(sizes)))) == expected


def test_only_the_named_shards_are_grouped() -> None:
    assert list(group_shards(ledger_of([3, 3, 3, 3], 6), [1, 3])) == [[1, 3]]


def test_ten_thousand_styles_of_one_row_are_some_hundred_task_runs() -> None:
    ledger = ledger_of([1] * 10_000, 500)
    groups = list(group_shards(ledger, range(10_000)))
    assert len(groups) == 200
    assert [number for group in groups for number in group] == [*range(10_000)]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([1], "style0, shard 00001, 5 pictures"),
        ([0, 1], "style0, shard 00000-00001, 10 pictures"),
        ([1, 2], "2 styles, shard 00001-00002, 6 pictures"),
        ([2], "style1, shard 00002, 1 picture"),
    ],
)
def test_a_task_runs_name_tells_style_shards_and_pictures(group: list[int], expected: str) -> None:
    assert label_group(ledger_of([5, 5, 1], 10, [0, 0, 1]), group) == expected


@dataclass(eq=False)
class Future:
    """What Prefect gives back for a task run, as far as it is looked at."""

    parameters: dict[str, Any]
    state: State = field(default_factory=Running)
    found: dict[str, Any] = field(default_factory=dict)
    fault: Exception | None = None

    def wait(self) -> None:
        pass

    def result(self, raise_on_failure: bool = True) -> dict[str, Any]:
        if self.fault is not None:  # a cluster's futures raise whatever was asked for
            raise self.fault
        return self.found

    def end(self, **found: Any) -> None:
        self.state, self.found = Completed(), {"busy": [], **found}


class Elsewhere:
    """A task runner whose task runs are at work in another process until they are told to end."""

    def __init__(self) -> None:
        self.futures: list[Future] = []

    def submit(self, _task: object, parameters: dict[str, Any]) -> Future:
        self.futures.append(Future(parameters))
        return self.futures[-1]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    def split_done(futures: list[Future], timeout: float) -> tuple[set[Future], set[Future]]:
        done = {future for future in futures if future.state.is_final()}
        return done, set(futures) - done

    monkeypatch.setattr("tasks.fan_out.wait", split_done)
    return Elsewhere()


def test_counts_of_a_cluster_come_from_the_ledger_and_then_from_the_task_run(
    tmp_path: Path, cluster: Elsewhere
) -> None:
    ledger = ledger_of([4, 4], 4)
    ledger.run_uri = str(tmp_path)
    request = ShardRequest(ledger.run_uri, 0, "session")
    engine = Engine(cast(Any, cluster), lambda: 1, is_elsewhere=True)
    looks = fan_out(ledger, [[0], [1]], request, engine)
    ledger.write_progress(0, {"made": 4, "session": "yesterday"})
    assert next(looks) == []
    assert BOARD.read(ledger.run_uri)[0] == Tally()
    said = {"made": 1, "failed": 1, "failed_by_code": {"empty": 1}, "session": "session"}
    ledger.write_progress(0, said)
    assert next(looks) == []
    first, second = cluster.futures
    assert BOARD.read(ledger.run_uri)[0] == Tally(1, 0, 1, Counter(empty=1))
    first.end(made=3, skipped=0, failed=1, failed_by_code={"empty": 1})
    second.end(made=0, skipped=2, failed=2, failed_by_code={"missing": 2}, busy=[1])
    assert [*looks][-1:] == [[1]]
    assert BOARD.read(ledger.run_uri)[0] == Tally(3, 2, 3, Counter(empty=1, missing=2))


def test_shards_of_a_cluster_look_for_the_stop_sign_of_their_run(
    tmp_path: Path, cluster: Elsewhere
) -> None:
    ledger = ledger_of([4], 4)
    ledger.run_uri = str(tmp_path)
    engine = Engine(cast(Any, cluster), lambda: 1, is_elsewhere=True)
    like = ShardRequest(ledger.run_uri, 0, "own", signs=("parent",))
    looks = fan_out(ledger, [[0]], like, engine)
    next(looks)
    (request,) = cluster.futures[0].parameters["requests"]
    assert request.signs == ("parent", "own")


def test_a_worker_of_a_cluster_that_is_lost_ends_its_shards_and_not_the_run(
    tmp_path: Path, cluster: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of([4, 4], 4)
    ledger.run_uri = str(tmp_path)
    monkeypatch.setattr("tasks.fan_out.get_run_logger", logging.getLogger)
    engine = Engine(cast(Any, cluster), lambda: 1, is_elsewhere=True)
    looks = fan_out(ledger, [[0], [1]], ShardRequest(ledger.run_uri, 0, "session"), engine)
    next(looks)
    first, second = cluster.futures
    first.state, first.fault = Crashed(message="worker lost"), RuntimeError("KilledWorker")
    second.end(made=4)
    assert [*looks][-1:] == [[]]
    assert BOARD.read(ledger.run_uri)[0].made == 4
