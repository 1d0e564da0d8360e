"""Commands of the local stack: ``up``, and the two that it starts as processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.stack_files import DEFAULT_PORT_BASE
from stylecore.errors import JobError

if TYPE_CHECKING:
    from stylecore.batch.inbox import UploadsJob

Inbox = Annotated[str, typer.Option(help="Bucket or folder of uploads.")]


def add_stack_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(receive)
    app.command(hidden=True)(serve)


def up(
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder for all state: buckets, database, logs.")
    ] = Path("stylebatch-up"),
    port_base: Annotated[
        int, typer.Option(help="First of the ports; the others follow.")
    ] = DEFAULT_PORT_BASE,
    preset: Annotated[str, typer.Option(help="draft, standard or fine.")] = "standard",
) -> None:
    """Start the local stack: S3 server, dashboard, deployments, watch on uploads. Ctrl-C stops."""
    from deployments.up import run_stack

    job = _uploads_job("s3://inbox", "s3://outbox", preset)
    raise typer.Exit(run_stack(job, folder, port_base))


def receive(
    inbox: Inbox,
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on, on the loopback.")],
) -> None:
    """Turn notifications of uploads into sweeps; the token is in STYLEBATCH_EVENT_TOKEN."""
    from deployments.receiving import receive_events

    receive_events(inbox, port)


def serve(
    inbox: Inbox,
    output: Annotated[str, typer.Option(help="Folder for pictures and runs.")],
    preset: Annotated[str, typer.Option(help="draft, standard or fine.")] = "standard",
) -> None:
    """Serve the deployments of the local stack."""
    from deployments.serving import serve_uploads

    serve_uploads(_uploads_job(inbox, output, preset))


def _uploads_job(inbox_uri: str, output_uri: str, preset: str) -> UploadsJob:
    from stylecore.batch.inbox import UploadsJob
    from stylecore.presets import PRESETS

    if preset not in PRESETS:
        raise JobError(f"--preset {preset}: there is no such preset. Use {', '.join(PRESETS)}.")
    values = {"inbox_uri": inbox_uri, "output_uri": output_uri, "preset": preset}
    return UploadsJob.model_validate(values)
