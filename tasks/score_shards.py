"""Tasks: score the pictures of some shards, and sum up; and the fan-out over a run's shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from tasks.devices import num_devices
from tasks.fan_out import group_shards, label_group
from tasks.progress import BOARD
from tasks.retrying import is_worth_a_retry
from tasks.score_tables import score_rows
from tasks.score_totals import close_scores
from tasks.scoring import pending_scores, score_shard
from tasks.server_calls import shown_if_possible
from tasks.sessions import name_session
from tasks.stopping import stop_flag
from tasks.storage import open_run

_LOOK_EVERY_S: Final = 5
_Future = PrefectFuture[int]


@task(
    name="score",
    task_run_name="score {label}",
    retries=2,
    retry_delay_seconds=[5, 60],
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
)
def score_shards(label: str, run_uri: str, numbers: Sequence[int], session: str) -> int:
    """Measure the pictures of some shards; safe to retry, for a shard's scores are written last.

    Args:
        label: the task run's name: style, shards and rows.
        run_uri: the run.
        numbers: the shards, one after the other.
        session: names the flow run's attempt; its stop flag ends the work.
    """
    ledger, stop = open_run(run_uri), stop_flag(session)
    count = sum(score_shard(ledger, number, stop) for number in numbers)
    get_run_logger().info("%s: %d pictures measured", label, count)
    return count


@task(name="sum up scores", retries=2, retry_delay_seconds=[5, 30], cache_policy=NO_CACHE)
def sum_up_scores(run_uri: str) -> dict[str, Any]:
    """Write ``scores.json`` and show its table; safe to retry, for it is derived."""
    ledger = open_run(run_uri)
    summary = close_scores(ledger)
    with shown_if_possible("the table of scores"):
        create_table_artifact(
            key=f"scores-{ledger.run_id}", table=score_rows(summary), description=summary.line
        )
    return summary.model_dump(mode="json")


def score_pictures(run_uri: str) -> State[dict[str, Any]]:
    """Score what is not scored yet, inside a flow run, and sum up.

    Args:
        run_uri: a run, finished or not; pictures that come later are scored the next time.

    Returns:
        Completed with the content of ``scores.json``; Failed if a shard could not be scored.
    """
    ledger = open_run(run_uri)
    BOARD.forget(ledger.run_uri)
    session = name_session(f"scores/{ledger.run_id}")
    try:
        _fan_out(run_uri, pending_scores(ledger), session)
    finally:
        stop_flag(session).set()  # however this ends, no thread computes on
    summary = sum_up_scores(run_uri)
    left = len(pending_scores(ledger))
    if left:
        return Failed(message=f"{left} shards could not be scored; start again to go on")
    return Completed(message=f"scored {summary['scored']} pictures", data=summary)


def _fan_out(run_uri: str, numbers: Sequence[int], session: str) -> None:
    """Work through shards, a few at a time; one that fails is logged and the others go on."""
    ledger = open_run(run_uri)
    room = 1 + num_devices(ledger.record.job.device)
    running: set[_Future] = set()
    for group in group_shards(ledger, numbers):
        label = label_group(ledger, group)
        running.add(score_shards.submit(label, run_uri, group, session))
        while len(running) >= room:
            running = _wait(running)
    while running:
        running = _wait(running)


def _wait(running: set[_Future]) -> set[_Future]:
    done, still_running = wait(list(running), timeout=_LOOK_EVERY_S)
    for future in done:
        if future.state.is_failed() or future.state.is_crashed():
            get_run_logger().error("shards left to score: %s", future.state.message)
    return set(still_running)
