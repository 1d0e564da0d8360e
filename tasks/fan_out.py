"""Bounded submission of shards: never more futures than can be worked on, however long the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger

from stylecore.batch.ledger import RunLedger
from tasks.devices import num_devices
from tasks.shard_work import ShardRequest
from tasks.stylize_shards import stylize_shards

_LOOK_EVERY_S: Final = 5
_IDENTITY_SHARDS: Final = 2
_TINY_SHARDS: Final = 50
_Future = PrefectFuture[dict[str, Any]]


def fan_out(ledger: RunLedger, numbers: Iterable[int], like: ShardRequest) -> Iterator[list[int]]:
    """Work through shards, a few at a time, as long as the budget lasts.

    A shard that fails for good is logged and stays to be done; the others go on.

    Args:
        ledger: the run.
        numbers: the shards.
        like: what their requests have in common; its session's stop flag ends the work.

    Yields:
        Whenever something may have changed, at least every few seconds: shards that turned out
        to be somebody else's.
    """
    groups = group_shards(ledger, numbers)
    job = ledger.record.job
    room = 1 + (_IDENTITY_SHARDS if job.method == "identity" else num_devices(like.device))
    running: set[_Future] = set()
    for group in groups:
        if like.budget.is_used_up:
            break
        requests = [replace(like, number=number) for number in group]
        running.add(stylize_shards.submit(label_group(ledger, group), requests))
        while len(running) >= room:
            running, busy = _wait(running)
            yield busy
    while running:
        running, busy = _wait(running)
        yield busy


def _wait(running: set[_Future]) -> tuple[set[_Future], list[int]]:
    done, still_running = wait(list(running), timeout=_LOOK_EVERY_S)
    busy: list[int] = []
    for future in done:
        future.wait()  # it is done: but only then does it tell its own state, not the server's
        if future.state.is_completed():
            busy += future.result()["busy"]
        elif future.state.is_failed() or future.state.is_crashed():
            get_run_logger().error("shards left to do: %s", future.state.message)
    return set(still_running), busy


def group_shards(ledger: RunLedger, numbers: Iterable[int]) -> Iterator[list[int]]:
    """Put tiny shards together, so that a task run has about a full shard's rows."""
    record = ledger.record
    group: list[int] = []
    rows = 0
    for number in numbers:
        size = record.shards[number].rows
        if group and (rows + size > record.rows_per_shard or len(group) >= _TINY_SHARDS):
            yield group
            group, rows = [], 0
        group.append(number)
        rows += size
    if group:
        yield group


def label_group(ledger: RunLedger, group: list[int]) -> str:
    """A task run's name: which style, which shards, how many pictures."""
    record = ledger.record
    shards = [record.shards[number] for number in group]
    styles = dict.fromkeys(record.styles[shard.style_index].name for shard in shards)
    names = next(iter(styles)) if len(styles) == 1 else f"{len(styles)} styles"
    span = f"{group[0]:05d}" if len(group) == 1 else f"{group[0]:05d}-{group[-1]:05d}"
    return f"{names}, shard {span}, {sum(shard.rows for shard in shards)} pictures"
