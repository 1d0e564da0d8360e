"""Bounded submission of shards: never more futures than can be worked on, however long the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger

from stylecore.batch.ledger import RunLedger
from stylecore.errors import RowError, StoreAwayError
from tasks.engines import Engine
from tasks.progress import BOARD, Tally
from tasks.shard_work import ShardRequest
from tasks.stopping import stop_flag
from tasks.stylize_shards import stylize_shards

_LOOK_EVERY_S: Final = 5
_IDENTITY_SHARDS: Final = 2
_TINY_SHARDS: Final = 50
_Group = Sequence[int]


def fan_out(
    ledger: RunLedger, groups: Iterable[_Group], like: ShardRequest, engine: Engine
) -> Iterator[list[int]]:
    """Work through shards, a few task runs at a time, as long as the budget lasts.

    A shard that fails for good is logged and stays to be done; the others go on, unless the
    store is away.

    Args:
        ledger: the run.
        groups: shards by task run, as ``group_shards`` puts them together.
        like: what their requests have in common; its session's stop flag ends the work.
        engine: what works through them.

    Yields:
        Whenever something may have changed, at least every few seconds: shards that turned out
        to be somebody else's.

    Raises:
        StoreAwayError: a shard waited for the store for too long.
    """
    running = _Running(ledger, engine, like.session)
    stop = stop_flag(like.session)
    if engine.is_elsewhere:
        like = replace(like, signs=(*like.signs, like.session))
    for group in groups:
        if like.budget.is_used_up or stop.is_set():
            break
        running.submit(group, like)
        while running.is_full():
            yield running.wait()
    while running.groups:
        yield running.wait()


class _Running:
    """Task runs at work, and their shards."""

    def __init__(self, ledger: RunLedger, engine: Engine, session: str) -> None:
        self.groups: dict[PrefectFuture[Any], _Group] = {}
        self._session = session
        self._ledger = ledger
        self._engine = engine

    def submit(self, group: _Group, like: ShardRequest) -> None:
        """Start a task run."""
        requests = [replace(like, number=number) for number in group]
        parameters = {"label": label_group(self._ledger, group), "requests": requests}
        with self._engine.submitting():
            future = self._engine.runner.submit(stylize_shards, parameters=parameters)
        self.groups[future] = group

    def is_full(self) -> bool:
        """Whether more task runs would only wait."""
        is_quick = self._ledger.record.job.method == "identity" and not self._engine.is_elsewhere
        return len(self.groups) > (_IDENTITY_SHARDS if is_quick else self._engine.width())

    def wait(self) -> list[int]:
        """Wait some seconds for one to end; returns the shards that were somebody else's."""
        done, _ = wait(list(self.groups), timeout=_LOOK_EVERY_S)
        busy: list[int] = []
        for future in done:
            busy += self._conclude(future, self.groups.pop(future))
        if self._engine.is_elsewhere:
            for group in self.groups.values():
                self._look_at(group)
        return busy

    def _conclude(self, future: PrefectFuture[Any], group: _Group) -> list[int]:
        future.wait()  # it is done: but only then does it tell its own state, not the server's
        if future.state.is_completed():
            result = future.result()
            busy: list[int] = result.pop("busy")
            if self._engine.is_elsewhere:
                self._post(group, Tally.of(result))
            return busy
        if isinstance(error := _error_of(future), StoreAwayError):
            raise error
        if future.state.is_failed() or future.state.is_crashed():
            get_run_logger().error("shards left to do: %s", future.state.message)
        return []

    def _look_at(self, group: _Group) -> None:
        """Count what another process said of its shards."""
        tally = Tally()
        with suppress(RowError):
            for number in group:
                words = self._ledger.read_progress_of(number)
                if words.get("session") == self._session:  # else of an earlier start or attempt
                    tally.merge(Tally.of(words))
        if tally.done:
            self._post(group, tally)

    def _post(self, group: _Group, tally: Tally) -> None:
        BOARD.post(self._ledger.run_uri, group[0], tally)


def _error_of(future: PrefectFuture[Any]) -> object:
    """What a task run raised; a cluster raises by itself where it lost the worker."""
    try:
        return future.result(raise_on_failure=False)
    except Exception as error:
        return error


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


def label_group(ledger: RunLedger, group: _Group) -> str:
    """A task run's name: which style, which shards, how many pictures."""
    record = ledger.record
    shards = [record.shards[number] for number in group]
    styles = dict.fromkeys(record.styles[shard.style_index].name for shard in shards)
    names = next(iter(styles)) if len(styles) == 1 else f"{len(styles)} styles"
    span = f"{group[0]:05d}" if len(group) == 1 else f"{group[0]:05d}-{group[-1]:05d}"
    count = sum(shard.rows for shard in shards)
    return f"{names}, shard {span}, {count} picture{'s' if count > 1 else ''}"
