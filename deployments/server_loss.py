"""What a command does when the Prefect server goes away while its flow runs.

Prefect tries again for a minute or more, and then raises what its HTTP client told it. Nothing is
lost by that but what the server would have shown: the ledger says what is true.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from deployments.environment import server_url
from stylecore.errors import StylebatchError

_LAST_WORDS_S: Final = 10.0


class ServerLostError(StylebatchError):
    """The server does not answer any more, or does not know our flow run."""


@contextmanager
def noticing_server_loss() -> Iterator[None]:
    """Say in a sentence what Prefect raises out of a flow whose server went away.

    Prefect must be prepared.

    Raises:
        ServerLostError: it did.
    """
    import httpx
    from prefect.exceptions import ObjectNotFound

    where = server_url() or "Prefect's embedded server"
    try:
        yield
    except ObjectNotFound as error:
        raise ServerLostError(
            f"the Prefect server ({where}) does not know this run any more: it lost its database"
        ) from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ServerLostError(
            f"the Prefect server ({where}) does not answer any more ({reason.splitlines()[0]})"
        ) from error


def end_process(code: int) -> NoReturn:
    """End this process, without waiting for ever until a server takes what Prefect has for it."""
    if _has_unsent_words():
        atexit._run_exitfuncs()  # ends the embedded server
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _has_unsent_words() -> bool:
    """Whether events or logs are left, after some seconds for them."""
    if "prefect.events.worker" not in sys.modules:  # no flow ran
        return False
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    left = False
    for service in (EventsWorker, APILogWorker):
        result = service.drain_all(timeout=_LAST_WORDS_S)
        left |= isinstance(result, tuple) and bool(result[1])
    return left
