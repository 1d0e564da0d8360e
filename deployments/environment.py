"""Environment variables: read and set here only, before Prefect is imported."""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from stylecore.batch.uris import without_secrets
from stylecore.errors import JobError

EVENT_TOKEN: Final = "STYLEBATCH_EVENT_TOKEN"  # noqa: S105 - the variable's name
_API_AUTH: Final = "PREFECT_API_AUTH_STRING"
_SERVER_AUTH: Final = "PREFECT_SERVER_API_AUTH_STRING"
_REFUSED: Final = (401, 403)
_SERVER_TIMEOUT_S: Final = 5.0
_BUSY_SERVER_TIMEOUT_S: Final = 30.0  # one that works for many others, or has just started
_FOREIGN: Final = ("AWS_", "PREFECT_", "STYLEBATCH_EVENT_")
_LOOPBACK: Final = "127.0.0.1,localhost"
_EMBEDDED: Final = {
    # The server that Prefect starts by itself when PREFECT_API_URL names none.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Of a server that goes away meanwhile, one sentence of ours is enough.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # Longer than a server waits for a locked database; one that hangs is given up in some minutes.
    "PREFECT_API_REQUEST_TIMEOUT": "20",
}
_BRIEF: Final = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "deployments.prefect_console.BriefConsoleHandler"
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
        JobError: it does not answer, or not to us.
    """
    url = server_url()
    if url is None:
        return
    if (shown := without_secrets(url)) != url:
        raise JobError(f"PREFECT_API_URL={shown}: no credentials there; {_API_AUTH} is for them.")
    try:
        # The user's own setting, and only http(s) makes sense to Prefect as well.
        if not url.startswith(("http://", "https://")):
            raise ValueError("it must start with http:// or https://")
        refused = _refuses(url, _credentials()) and _refuses(url, _credentials_of_profile())
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise JobError(
            f"PREFECT_API_URL={url}: the Prefect server does not answer ({reason}). Start it with "
            "`prefect server start`, or unset PREFECT_API_URL to use Prefect's embedded one."
        ) from error
    if refused:
        raise JobError(
            f"PREFECT_API_URL={url}: the Prefect server does not let us in. Set {_API_AUTH} to "
            f"what it was started with as {_SERVER_AUTH}."
        )


def lets_anybody_in() -> bool:
    """Whether the named server, which answers, does so without credentials."""
    return not _refuses(server_url() or "", {})


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """JSON values of an object, empty where that is not what was sent, and the Date header."""

    values: Mapping[str, Any]
    date: str | None


def ask_server(path: str) -> ServerAnswer:
    """Ask the named server, which lets us in, something of its API."""
    url, credentials = server_url() or "", _credentials()
    if _refuses(url, credentials):
        credentials = _credentials_of_profile()
    try:
        with urllib.request.urlopen(  # noqa: S310  # check_server looked at the scheme
            _question(url, path, credentials), timeout=_SERVER_TIMEOUT_S
        ) as answer:
            date, text = answer.headers.get("Date"), answer.read()
        values = json.loads(text)
    except (OSError, ValueError):
        return ServerAnswer({}, None)
    return ServerAnswer(values if isinstance(values, dict) else {}, date)


def is_tracking_off() -> bool:
    """Whether DO_NOT_TRACK keeps Prefect from sending usage data."""
    return os.environ.get("DO_NOT_TRACK", "").lower() in {"1", "true", "yes"}


def _refuses(url: str, credentials: Mapping[str, str]) -> bool:
    """Whether it wants other credentials; its ``/health`` is open to all, and would not tell."""
    question = _question(url, "admin/version", credentials)
    try:
        with urllib.request.urlopen(question, timeout=_BUSY_SERVER_TIMEOUT_S):  # noqa: S310  # checked before
            return False
    except urllib.error.HTTPError as error:
        return error.code in _REFUSED  # else it answers, and Prefect may say what is wrong


def _question(url: str, path: str, credentials: Mapping[str, str]) -> urllib.request.Request:
    return urllib.request.Request(f"{url.rstrip('/')}/{path}", headers=dict(credentials))  # noqa: S310  # checked before


def _credentials() -> dict[str, str]:
    """The header that Prefect's client will send, as far as the environment tells."""
    auth, key = os.environ.get(_API_AUTH), os.environ.get("PREFECT_API_KEY")
    return _authorization(auth, key)


def _credentials_of_profile() -> dict[str, str]:
    """The same with Prefect's profiles, which are worth a second of imports only when refused."""
    prepare_prefect()
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    auth, key = api.auth_string, api.key
    return _authorization(
        auth.get_secret_value() if auth else None, key.get_secret_value() if key else None
    )


def _authorization(auth: str | None, key: str | None) -> dict[str, str]:
    if auth:
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}


def prepare_prefect() -> None:
    """Settle Prefect's settings for a run from the command line; the user's own come first."""
    embedded = {} if server_url() else _EMBEDDED
    brief = {} if wants_traceback() else _BRIEF
    for name, value in {**_QUIET, **embedded, **brief}.items():
        os.environ.setdefault(name, value)
    for name in ("httpx", "prefect.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.raiseExceptions = wants_traceback()  # of logs that the server does not take
    if not server_url():
        _lock_embedded_server()


def _lock_embedded_server() -> None:
    """Have Prefect's embedded server want credentials that this process and its children know."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:  # a profile may name a server
        auth = os.environ.get(_API_AUTH) or os.environ.get(_SERVER_AUTH) or new_auth_string()
        os.environ.update({_API_AUTH: auth, _SERVER_AUTH: auth})
        refresh_global_settings_context()


def new_auth_string() -> str:
    """What a Prefect server and its clients share: a name that says whose it is, and a secret."""
    return f"stylebatch:{secrets.token_urlsafe(32)}"


@contextmanager
def shared_server() -> Iterator[None]:
    """Let processes that the body starts use our embedded server, instead of one for each."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with get_client(sync_client=True) as client:
        url = str(client.api_url)
    with temporary_settings({PREFECT_API_URL: url}):
        yield


def event_token() -> str:
    """What callers of the receiver have to show.

    Raises:
        JobError: there is none.
    """
    token = os.environ.get(EVENT_TOKEN, "")
    if not token:
        raise JobError(f"set {EVENT_TOKEN} to the token that the sender of notifications shows")
    return token


def stack_environment(own: Mapping[str, str]) -> dict[str, str]:
    """This process' environment for a process of the local stack.

    Args:
        own: its settings. The user's own credentials, and the server that the user named, are
            left out: the stack knows only itself.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    past_proxies = {"NO_PROXY": _LOOPBACK, "no_proxy": _LOOPBACK}
    return {**kept, **past_proxies, "PYTHONUNBUFFERED": "1", **own}


def adopt_environment(environment: Mapping[str, str]) -> None:
    """Make this process a process of the local stack too."""
    os.environ.clear()
    os.environ.update(environment)


def is_answering(url: str) -> bool:
    """Whether a server of the local stack answers with success, and to us."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    question = urllib.request.Request(url, headers=_credentials())  # noqa: S310  # our own
    try:
        with direct.open(question, timeout=_SERVER_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
