"""Environment variables: read and set here only, before Prefect is imported."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from typing import Final

from stylecore.errors import JobError

_SERVER_TIMEOUT_S: Final = 5.0
_EMBEDDED: Final = {
    # The server that Prefect starts by itself when PREFECT_API_URL names none.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def server_url() -> str | None:
    """The Prefect server that the user named."""
    return os.environ.get("PREFECT_API_URL") or None


def wants_traceback() -> bool:
    """Whether STYLEBATCH_DEBUG asks for tracebacks."""
    return bool(os.environ.get("STYLEBATCH_DEBUG"))


def credentials_named() -> list[str]:
    """Which of the AWS chain's variables are set; their values are nobody's business."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_PROFILE")
    return [name for name in names if os.environ.get(name)]


def check_server() -> None:
    """Ask the named server for a sign of life; without a name, Prefect starts its own.

    Raises:
        JobError: it does not answer.
    """
    url = server_url()
    if url is None:
        return
    try:
        # The user's own setting, and only http(s) makes sense to Prefect as well.
        if not url.startswith(("http://", "https://")):
            raise ValueError("it must start with http:// or https://")
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=_SERVER_TIMEOUT_S):  # noqa: S310  # checked above
            return
    except urllib.error.HTTPError:
        return  # it answers; what it thinks of our credentials is Prefect's to say
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise JobError(
            f"PREFECT_API_URL={url}: the Prefect server does not answer ({reason}). Start it with "
            "`prefect server start`, or unset PREFECT_API_URL to use Prefect's embedded one."
        ) from error


def prepare_prefect() -> None:
    """Settle Prefect's settings for a run from the command line; the user's own come first."""
    settings = _QUIET if server_url() else {**_QUIET, **_EMBEDDED}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    for name in ("httpx", "prefect.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
