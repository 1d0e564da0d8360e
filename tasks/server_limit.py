"""The Prefect server's limit on the devices of a machine: it counts runs of other users too.

``stylebatch deploy`` registers ``gpu:<host>``. Prefect lets everybody through where a limit is
missing and says nothing, so the summary of a run tells whether there is one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger

LEASE_S: Final = 60.0  # after which the slot of a process that was killed comes back
_LOOK_EVERY_S: Final = 5.0


def limit_name() -> str:
    """The limit of this machine."""
    return f"gpu:{socket.gethostname()}"


@cache
def limit_slots(name: str) -> int | None:
    """How many shards the server lets compute at once under a limit; None: it has no such limit."""
    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return None
    return limit.limit if limit.active else None


@contextmanager
def server_slot(check_stop: Callable[[], None]) -> Iterator[None]:
    """Wait for a slot of this machine's limit and hold it, inside a task run.

    A server that does not answer costs no picture: then there is no limit.

    Args:
        check_stop: called while waiting; what it raises ends that.
    """
    with ExitStack() as held:
        if TaskRunContext.get() is not None:
            while not _has_slot(held):
                check_stop()
        yield


def _has_slot(held: ExitStack) -> bool:
    """Whether nothing more has to be waited for, after some seconds of waiting."""
    name = limit_name()
    try:
        if limit_slots(name) is None:
            return True
        slot = concurrency(
            name,
            timeout_seconds=_LOOK_EVERY_S,
            lease_duration=LEASE_S,
            raise_on_lease_renewal_failure=False,
        )
        held.enter_context(slot)
    except TimeoutError:
        return False
    except Exception as error:  # whatever is wrong with the server
        get_run_logger().warning("no slot of %s: %s", name, error)
    return True


def limit_note() -> str:
    """What the summary of a run says of the limit."""
    name = limit_name()
    try:
        slots = limit_slots(name)
    except Exception as error:  # whatever is wrong with the server
        return f"Whether the server has a limit `{name}` is unknown: {error}"
    if slots is None:
        return (
            f"The server has no limit `{name}`: other runs on this machine may compute at the same "
            "time. `stylebatch deploy` registers it."
        )
    return f"Shards at once on this machine, over all runs: {slots} (limit `{name}`)."
