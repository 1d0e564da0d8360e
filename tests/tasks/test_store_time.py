"""Whether a run is old is told by the store's clock: a machine's own may be a day wrong."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_jobs import LocalBucket

from stylecore.batch.store import Store
from tasks import prune_runs
from tasks.preparing import prepare_run

KEEP_DAYS = 1


def test_the_stores_time_is_that_of_what_is_written_now_and_nothing_stays(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert before < Store().time_at(str(tmp_path)) < datetime.now(UTC) + timedelta(seconds=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ahead", "removed"), [(timedelta(), 0), (timedelta(days=2), 1)])
def test_runs_are_old_by_the_clock_of_the_store(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, removed: int
) -> None:
    bucket.fill(1)
    prepare_run(Store(), bucket.job(run_key="old"))
    current = prepare_run(Store(), bucket.job())
    monkeypatch.setattr(prune_runs, "get_run_logger", logging.getLogger)
    there = Store().time_at(current.run_uri)
    monkeypatch.setattr(Store, "time_at", lambda *_: there + ahead)
    assert len(prune_runs.prune_old_runs.fn(current.run_uri, KEEP_DAYS)) == removed
