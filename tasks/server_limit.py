"""The Prefect server's limit on the devices of a machine: it counts runs of other users too.

``stylebatch deploy`` registers ``gpu:<host>``. Prefect lets everybody through where a limit is
missing and says nothing, so the summary of a run tells whether there is one.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger

from tasks.server_calls import hurried

LEASE_S: Final = 60.0  # after which the slot of a process that was killed comes back
_LOOK_EVERY_S: Final = 5.0
_TOLD_EVERY_S: Final = 60.0


def limit_name() -> str:
    """The limit of this machine."""
    return f"gpu:{socket.gethostname()}"


def limit_slots(name: str) -> int | None:
    """How many shards the server lets compute at once under a limit; None: it has no such limit."""
    with hurried(retries=1), get_client(sync_client=True) as client:
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
    held = ExitStack()
    if TaskRunContext.get() is not None:
        _wait_for_slot(held, check_stop)
    try:
        yield
    finally:
        try:
            held.close()
        except Exception as error:  # the slot comes back by itself when its lease ends
            get_run_logger().warning("slot of %s not given back: %s", limit_name(), error)


def _wait_for_slot(held: ExitStack, check_stop: Callable[[], None]) -> None:
    since = time.monotonic()
    while not _has_slot(held):
        check_stop()
        if time.monotonic() - since > _TOLD_EVERY_S:
            since = time.monotonic()
            get_run_logger().warning(
                "still waiting for a slot of %s: others have all of them. If they do not, the "
                "server lost count: prefect gcl update %s --active-slots 0",
                limit_name(),
                limit_name(),
            )


def _has_slot(held: ExitStack) -> bool:
    """Whether nothing more has to be waited for, after some seconds of waiting."""
    name = limit_name()
    try:
        if limit_slots(name) is None:  # asked each time: it tells whether the server is there
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
