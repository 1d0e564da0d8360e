"""Flow: a part of a large run, on behalf of the run that started it."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.engines import Place
from tasks.shard_work import ShardRequest
from tasks.working import work_on_part


@flow(name="stylize-shards")
def stylize_shards(numbers: list[int], like: ShardRequest, place: Place) -> State[dict[str, Any]]:
    """Work through some shards of a run; runs of hundreds of task runs start these by themselves.

    Args:
        numbers: the shards.
        like: the run, and how it is worked on.
        place: where to compute.
    """
    return work_on_part(numbers, like, place)
