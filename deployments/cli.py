"""The command line: ``stylebatch --help``. Each command is a thin shell around one function.

Exit codes: 0 every row made or skipped; 3 finished with failed rows; 2 the request is wrong;
1 anything else. Imports inside commands keep ``--help`` and wrong requests fast.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from deployments.console import complain
from deployments.environment import wants_traceback
from deployments.job_commands import add_job_commands
from deployments.options import (
    Assignments,
    GeneratorUri,
    MaxSide,
    PresetName,
    RefinerUri,
    RunUri,
    SaveEvery,
    assignments_of,
)
from deployments.server_loss import end_process
from deployments.stack_commands import add_stack_commands
from deployments.train_commands import train
from stylecore.errors import JobError, StylebatchError

app = typer.Typer(
    name="stylebatch",
    help="Stylize whole buckets of images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(train, name="train")
add_job_commands(app)
add_stack_commands(app)


@app.command()
def image(
    content: Annotated[str, typer.Argument(help="Photograph.")],
    styles: Annotated[list[str], typer.Argument(help="Painting; several are blended.")],
    output: Annotated[str, typer.Option(help="Picture to write: .jpg, .png or .webp.")],
    preset: PresetName = None,
    max_side_px: MaxSide = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="Where a painting goes: white is there. One for each painting, or none."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a start from noise.")] = None,
    weights: GeneratorUri = None,
    refine: RefinerUri = None,
    save_every: SaveEvery = None,
    set_: Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Stylize one photograph."""
    from deployments.requests import build_job
    from deployments.single import image_options, make_image

    options = image_options(content, styles, output)
    options |= {"preset": preset, "max_side_px": max_side_px, "seed": seed, "refine": refine}
    if weights is not None:
        options |= {"method": "generator", "generator": weights}
    request = build_job(None, options, assignments_of(set_, save_every))
    make_image(request, mask or [], as_json=as_json)


@app.command()
def status(run_uri: RunUri) -> None:
    """Tell how far a run is, from its ledger."""
    from deployments.inspecting import show_status

    show_status(run_uri)


@app.command()
def report(run_uri: RunUri) -> None:
    """Write a run's summary and report again from its results."""
    from deployments.inspecting import write_report

    write_report(run_uri)


@app.command()
def retry(run_uri: RunUri) -> None:
    """Make the failed rows of a run again, and whatever it left undone."""
    from deployments.running import retry_failed

    raise typer.Exit(retry_failed(run_uri))


@app.command()
def verify(
    run_uri: RunUri,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set what is not true back, to be made again.")
    ] = False,
) -> None:
    """Read a run again: does every outcome have its picture, and do the totals add up?"""
    from deployments.verifying import verify_run

    raise typer.Exit(verify_run(run_uri, repair=repair))


@app.command()
def score(run_uri: RunUri) -> None:
    """Measure the pictures of a run: content, style, LPIPS, SSIM, PSNR, fdRL, swdL."""
    from deployments.comparing import score_pictures

    raise typer.Exit(score_pictures(run_uri))


@app.command()
def compare(
    run_a: RunUri,
    run_b: RunUri,
    output: Annotated[
        str | None, typer.Option(help="Folder for compare.json and the page to vote on.")
    ] = None,
    votes: Annotated[
        list[str] | None, typer.Option(help="File of votes to sum up; repeat for more.")
    ] = None,
) -> None:
    """Compare two runs picture by picture, or sum up the votes on them."""
    from deployments.comparing import compare_pictures, sum_up_votes

    if votes:
        raise typer.Exit(sum_up_votes(run_a, run_b, votes, output))
    raise typer.Exit(compare_pictures(run_a, run_b, output))


@app.command()
def deploy(
    nightly: Annotated[
        Path | None,
        typer.Option(help="Job file of the nightly run; without it, it has no schedule."),
    ] = None,
    cron: Annotated[
        str | None, typer.Option(help="When the nightly run is started; default: '0 2 * * *'.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="Time zone of the hours, such as Europe/Berlin; default: UTC."),
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(min=1, help="Days after which the nightly run removes old runs/, no images/."),
    ] = None,
    expect_by: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Tell of a night that is not done by then.")
    ] = None,
    uploads: Annotated[
        Path | None, typer.Option(help="File with inbox_uri, output_uri and so on: watch an inbox.")
    ] = None,
    gpus: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST=N", help="Devices of a host; default: those of this one."),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(metavar="TYPE/NAME", help="Notification block that is told what went wrong."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Register deployments, limits and automations with the server at PREFECT_API_URL."""
    from deployments import deploying

    own = {"cron": cron, "timezone": timezone, "keep_days": keep_days, "expect_by": expect_by}
    request = deploying.read_request(nightly, own, uploads, gpus or [], notify)
    deploying.deploy(request, is_dry_run=dry_run)


@app.command()
def doctor(
    uri: Annotated[
        str | None, typer.Argument(help="Bucket or folder to try: can it be read and written?")
    ] = None,
) -> None:
    """Tell what is here and what is missing: device, weights, memory, storage, server."""
    from deployments.doctor import examine

    raise typer.Exit(examine(uri))


def main() -> None:
    """Entry point: errors become sentences and exit codes, never tracebacks."""
    # Whoever ends us politely gets the same care as Ctrl-C, and no server is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = _exit_code()
    for number in (signal.SIGINT, signal.SIGTERM):  # what is left takes seconds, and has an end
        signal.signal(number, signal.SIG_IGN)
    end_process(code)


def _exit_code() -> int:
    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    except KeyboardInterrupt:
        complain("interrupted")
        return 1
    except Exception as error:
        if wants_traceback():
            raise
        complain(_sentence(error))
        return 2 if isinstance(error, JobError) else 1
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, StylebatchError):
        return str(error)
    return (
        f"{type(error).__name__}: {error}\n"
        "This is a fault of stylebatch's; STYLEBATCH_DEBUG=1 shows where."
    )
