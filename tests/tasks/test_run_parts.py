"""How a large run is cut into parts for child runs."""

import pytest

from tasks import child_runs
from tasks.child_runs import split


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
