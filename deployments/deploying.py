"""``deploy``: make what a Prefect server keeps of ours what it should be, and say what changed."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deployments.console import say
from deployments.environment import check_server, prepare_prefect, server_url
from deployments.nightly import Nightly
from deployments.requests import build_job, build_request
from stylecore.batch.inbox import UploadsJob, check_uploads_job
from stylecore.errors import JobError
from tasks.preparing import normalize_job

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

_HOST: Final = re.compile(r"[\w.-]+")
_BLOCK: Final = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")
_SLACK: Final = "slack-webhook/ops"


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What is to be registered.

    Attributes:
        nightly: the nightly run, as far as there is one.
        uploads: the inbox to watch; None: none is.
        gpus: devices of hosts; empty: those of this one.
        notify: type and name of the notification block that is told; None: nobody is.
    """

    nightly: Nightly
    uploads: UploadsJob | None
    gpus: Mapping[str, int]
    notify: str | None


def read_request(
    nightly: Path | None,
    options: Mapping[str, Any],
    uploads: Path | None,
    gpus: Sequence[str],
    notify: str | None,
) -> DeployRequest:
    """Check the words of a person.

    Args:
        nightly: job file of the nightly run.
        options: fields of ``Nightly`` besides the job; None means not given.
        uploads: file with the fields of an ``UploadsJob``.
        gpus: ``HOST=N`` each.
        notify: ``TYPE/NAME`` of a notification block.

    Raises:
        JobError: no server is named, a file or an option is wrong, or one misses another.
    """
    if server_url() is None:
        raise JobError(
            "deploy needs a Prefect server that stays: set PREFECT_API_URL, such as "
            "http://127.0.0.1:4200/api after `prefect server start`."
        )
    if notify is not None and not _BLOCK.fullmatch(notify):
        raise JobError(f"--notify {notify}: give type and name of a block, such as {_SLACK}")
    if options.get("expect_by") is not None and notify is None:
        raise JobError(f"--expect-by: say who is told: --notify TYPE/NAME, such as {_SLACK}")
    # A worker starts in a folder of its own, where a relative path would mean something else.
    inbox = None if uploads is None else build_request(UploadsJob, uploads, {}, [])
    return DeployRequest(
        _read_nightly(nightly, options),
        None if inbox is None else check_uploads_job(inbox),
        _read_gpus(gpus),
        notify,
    )


def _read_nightly(job_file: Path | None, options: Mapping[str, Any]) -> Nightly:
    given = {name: value for name, value in options.items() if value is not None}
    if job_file is None:
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise JobError(f"{names}: for the nightly run; give its job too: --nightly JOB.yaml")
        return Nightly()
    nightly = Nightly(normalize_job(build_job(job_file, {}, [])), **given)
    nightly.check_times()
    return nightly


def _read_gpus(given: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for words in given:
        host, _, count = words.partition("=")
        if not _HOST.fullmatch(host) or not count.isdecimal() or not 0 < int(count) <= 10_000:
            raise JobError(f"--gpus {words}: write HOST=N, such as {socket.gethostname()}=4")
        if host in found:
            raise JobError(f"--gpus {words}: {host} is given twice")
        found[host] = int(count)
    return found


def deploy(request: DeployRequest, *, is_dry_run: bool) -> None:
    """Register what is wanted and is not there, and remove what is there and not wanted.

    Args:
        request: what is wanted.
        is_dry_run: only say what would be done.

    Raises:
        JobError: the server does not answer, a cron line is wrong, or there is no such block.
    """
    check_server()
    prepare_prefect()
    request.nightly.check_cron()

    from prefect.client.orchestration import get_client

    from deployments.catalog import Occasions, catalog
    from deployments.reconciling import Wanted, devices_here, reconcile

    occasions = Occasions(request.nightly, request.uploads)
    with get_client(sync_client=True) as client:
        block = None if request.notify is None else _find_block(client, request.notify)
        wanted = Wanted(catalog(occasions), request.gpus or devices_here(), block)
        changes = reconcile(client, wanted, is_dry_run=is_dry_run)
    if is_dry_run:
        say("dry run: this is what deploy would do, and nothing was written")
    for change in changes:
        say(change.line)


def _find_block(client: SyncPrefectClient, named: str) -> UUID:
    from prefect.exceptions import ObjectNotFound

    type_name, _, name = named.partition("/")
    try:
        found = client.read_block_document_by_name(name, type_name)
    except ObjectNotFound as error:
        raise JobError(
            f"--notify {named}: the server has no such block. Create it in the dashboard under "
            f"Blocks, with the name {name}, or in Python, such as: "
            "from prefect.blocks.notifications import SlackWebhook; "
            f"SlackWebhook(url=URL).save({name!r})"
        ) from error
    schema = found.block_schema
    if schema is not None and "notify" not in schema.capabilities:
        raise JobError(f"--notify {named}: a block of this type notifies nobody, such as {_SLACK}")
    return found.id
