"""What ``doctor`` asks of the Prefect server: who gets in, and the settings that cost something."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from deployments.environment import (
    ServerAnswer,
    ask_server,
    check_server,
    is_tracking_off,
    lets_anybody_in,
    server_url,
)
from deployments.findings import Finding, advise
from stylecore.errors import JobError

_SKEW_S: Final = 30.0
_BATCH: Final = 200
_DOCS: Final = "see docs/operations.md"


def examine_server() -> Iterator[Finding]:
    """The server that PREFECT_API_URL names, and how this machine is set up for it."""
    url = server_url()
    if url is None:
        yield Finding("server", "none named: Prefect's embedded one")
        return
    try:
        check_server()
    except JobError as error:
        yield Finding("server", str(error), "MISSING")
        return
    yield Finding("server", f"{url} answers")
    yield from examine_access(url, is_open=lets_anybody_in())
    answer = ask_server("admin/settings")
    yield from _examine_tracking()
    yield from examine_settings(answer.values)
    yield from _examine_clock(answer)
    yield from _examine_heartbeat()
    yield from _examine_limit()


def examine_access(url: str, *, is_open: bool) -> Iterator[Finding]:
    """Who gets in, and who can listen on the way.

    Args:
        url: of the API.
        is_open: whether it answers without credentials.
    """
    where = urlsplit(url)
    is_near = is_loopback(where.hostname or "")
    secure = "start it with PREFECT_SERVER_API_AUTH_STRING"
    if is_open and not is_near:
        text = f"whoever reaches {where.hostname} can run programs on your workers: {secure}"
        yield Finding("access", f"{text}, {_DOCS}", "MISSING")
    elif is_open:
        text = f"any user of this machine, and pages in its browsers, get in: {secure}"
        yield Finding("access", f"{text}, or use `stylebatch up`", "ADVICE")
    else:
        yield Finding("access", "nobody gets in without credentials")
    if where.scheme == "http" and not is_near:
        text = "http:// sends the credentials as they are: put TLS in front, and use https://"
        yield Finding("access", text, "ADVICE")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, for no other to reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def examine_settings(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings that the server was started with; nothing where it does not tell them."""
    server = settings.get("server")
    if not isinstance(server, Mapping):
        return
    yield advise(
        "telemetry",
        "of the server is off",
        is_well=not server.get("analytics_enabled"),
        otherwise="the server sends usage data to Prefect: start it with "
        "PREFECT_SERVER_ANALYTICS_ENABLED=false",
    )
    recorder = _at(server, "services", "task_run_recorder")
    sizes = [recorder.get(name, _BATCH) for name in ("read_batch_size", "batch_size")]
    yield advise(
        "recorder",
        "writes task runs in lots",
        is_well=min(sizes) >= _BATCH,
        otherwise=f"task runs of a burst get lost: set the recorder's three variables, {_DOCS}",
    )
    leases = str(_at(server, "concurrency").get("lease_storage", ""))
    yield advise(
        "leases",
        "outlive a restart",
        is_well=not leases.endswith(".memory"),
        otherwise="slots that are held at a restart are lost for ever: set "
        f"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE, {_DOCS}",
    )


def _at(settings: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = settings.get(name)
        settings = found if isinstance(found, Mapping) else {}
    return settings


def _examine_clock(answer: ServerAnswer) -> Iterator[Finding]:
    if answer.date is None:
        return
    yield examine_skew(time.time() - parsedate_to_datetime(answer.date).timestamp(), "the server's")


def examine_skew(skew_s: float, whose: str) -> Finding:
    """How far this machine's clock is from another, in seconds."""
    direction = "ahead of" if skew_s > 0 else "behind"
    return advise(
        "clock",
        f"agrees with {whose}",
        is_well=abs(skew_s) <= _SKEW_S,
        otherwise=f"this machine is {abs(skew_s):.0f} s {direction} {whose} clock: schedules and "
        "leases go wrong, and S3 refuses above 15 minutes. Set it by NTP.",
    )


def _examine_tracking() -> Iterator[Finding]:
    yield advise(
        "telemetry",
        "DO_NOT_TRACK is set",
        is_well=is_tracking_off(),
        otherwise="stylebatch's commands send no usage data; for `prefect worker start` set "
        "DO_NOT_TRACK=1",
    )


def _examine_heartbeat() -> Iterator[Finding]:
    from prefect.settings import get_current_settings

    yield advise(
        "heartbeat",
        "runs from here give a sign of life",
        is_well=get_current_settings().flows.heartbeat_frequency is not None,
        otherwise="a run from this shell whose machine dies stays Running: set "
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 (runs of deployments have it)",
    )


def _examine_limit() -> Iterator[Finding]:
    """Without the limit, Prefect lets any number of shards onto this machine's devices."""
    from tasks.devices import num_gpus
    from tasks.server_limit import limit_name, limit_slots

    gpus, name = num_gpus(), limit_name()
    if not gpus:
        return
    try:
        slots = limit_slots(name)
    except Exception as error:  # whatever Prefect's client says; the other findings stand
        yield Finding("limits", f"{name} cannot be asked for: {error}", "ADVICE")
        return
    yield examine_slots(name, slots, gpus)


def examine_slots(name: str, slots: int | None, gpus: int) -> Finding:
    """The limit of this machine's devices; ``slots`` is None where there is none."""
    has = "is missing" if slots is None else f"has {slots} slots"
    return advise(
        "limits",
        f"{name} has {slots} slots, as many as GPUs",
        is_well=slots == gpus,
        otherwise=f"{name} {has}, and there are {gpus} GPUs: `stylebatch deploy` sets it",
    )
