"""``up``: the local stack, from the S3 server to the watch on uploads, until it is stopped."""

from __future__ import annotations

import json
import secrets
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deployments import stack_servers
from deployments.children import ChildEndedError, Children, ChildSpec
from deployments.console import complain, say
from deployments.environment import adopt_environment, is_answering, stack_environment
from deployments.stack_files import BUCKETS, Credentials, Ports, hold_folder, write_credentials
from deployments.sweep_bell import DEPLOYMENT
from stylecore.batch.inbox import UploadsJob, check_uploads_job
from stylecore.batch.store import Store
from stylecore.errors import JobError

_START_TIMEOUT_S: Final = 180.0
_LOOK_EVERY_S: Final = 0.3
_SAMPLES: Final = Path(__file__).parent / "samples"


def run_stack(job: UploadsJob, folder: Path, port_base: int) -> int:
    """Start everything, say where it is, and stop everything on Ctrl-C or SIGTERM.

    A process that ends by itself is started again; one that ends again and again ends the stack:
    what it did is in the bucket, and another ``up`` goes on with it.

    Args:
        job: how uploads are stylized.
        folder: for all state.
        port_base: first of the ports.

    Returns:
        The exit code: 0 if it was asked to stop, 1 if a process cannot be kept up.

    Raises:
        JobError: a port is taken, the folder is in use, or SeaweedFS is not installed.
    """
    job, ports, folder = check_uploads_job(job), Ports(port_base), folder.resolve()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with hold_folder(folder):
        ports.check()
        credentials = write_credentials(folder, ports)
        children = Children(folder / "logs")
        try:
            if _start(children, folder, ports, credentials, job, stop):
                _tell(folder, ports, credentials)
                children.watch(stop, complain)
        except ChildEndedError as error:
            complain(str(error))
            return 1
        finally:
            children.stop()
    say("stopped; the same command goes on")
    return 0


def _start(
    children: Children,
    folder: Path,
    ports: Ports,
    credentials: Credentials,
    job: UploadsJob,
    stop: threading.Event,
) -> bool:
    """Start one after the other, each when those that it needs answer; False if stopped."""
    token = secrets.token_urlsafe(32)
    adopt_environment(stack_environment(credentials.environment))
    api = credentials.prefect_api_url
    deployment_url = f"{api}/deployments/name/{DEPLOYMENT}"
    steps: list[tuple[ChildSpec, Callable[[], bool]]] = [
        (stack_servers.seaweed(folder, ports, credentials, token), _is_writable),
        (
            stack_servers.prefect_server(folder, ports, credentials),
            lambda: is_answering(f"{api}/health"),
        ),
        (stack_servers.runner(folder, credentials, job), lambda: is_answering(deployment_url)),
        (
            stack_servers.receiver(folder, ports, credentials, job.inbox_uri, token),
            lambda: is_answering(f"http://127.0.0.1:{ports.receiver}/health"),
        ),
    ]
    for spec, is_ready in steps:
        children.start(spec)
        if not _wait_for(spec.name, is_ready, children, stop):
            return False
    return True


def _wait_for(
    name: str, is_ready: Callable[[], bool], children: Children, stop: threading.Event
) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not stop.is_set():
        children.check()
        if is_ready():
            return True
        if time.monotonic() > deadline:
            raise ChildEndedError(f"{name} does not answer after {_START_TIMEOUT_S:.0f} s")
        stop.wait(_LOOK_EVERY_S)
    return False


def _is_writable() -> bool:
    """Whether the buckets take objects: they are listed before they do."""
    try:
        for bucket in BUCKETS:
            Store().check_writable(f"s3://{bucket}")
    except JobError:
        return False
    return True


def _tell(folder: Path, ports: Ports, credentials: Credentials) -> None:
    say(f"S3 server      {credentials.endpoint_url}  buckets {', '.join(BUCKETS)}")
    say(f"dashboard      {credentials.prefect_ui_url}  asks for prefect_auth_string, see below")
    say(f"notifications  http://127.0.0.1:{ports.receiver}/events")
    say(f"credentials    {folder / 'credentials.json'}")
    say(f"logs           {folder / 'logs'}")
    say(
        "to try it, upload a painting and a photograph, and find the picture in outbox/images/wave:"
    )
    say(f"  {try_command(folder)}")
    say("Ctrl-C stops everything")
    sys.stdout.flush()


def try_command(folder: Path) -> str:
    """One command that uploads a sample painting and a sample photograph."""
    files = [str(_SAMPLES / name) for name in ("style/great_wave.jpg", "content/coffee.jpg")]
    names = ["inbox/styles/wave.jpg", "inbox/wave/coffee.jpg"]
    code = (
        f"import json, s3fs; c = json.load(open({json.dumps(str(folder / 'credentials.json'))})); "
        'keys = {"key": c["access_key"], "secret": c["secret_key"]}; '
        's3fs.S3FileSystem(**keys, endpoint_url=c["endpoint_url"])'
        f".put({json.dumps(files)}, {json.dumps(names)})"
    )
    return shlex.join([sys.executable, "-c", code])
