"""Commands about a run that is there: how far it is, what it is worth, and what is left of it."""

from __future__ import annotations

from typing import Annotated

import typer

RunUri = Annotated[str, typer.Argument(help="<output>/runs/<run id>, as `run` prints it last.")]


def add_run_commands(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, report, retry, score, compare):
        app.command()(command)


def status(run_uri: RunUri) -> None:
    """Tell how far a run is, from its ledger."""
    from deployments.inspecting import show_status

    show_status(run_uri)


def report(run_uri: RunUri) -> None:
    """Write a run's summary and report again from its results."""
    from deployments.inspecting import write_report

    write_report(run_uri)


def retry(run_uri: RunUri) -> None:
    """Make the failed rows of a run again, and whatever it left undone."""
    from deployments.running import retry_failed

    raise typer.Exit(retry_failed(run_uri))


def score(run_uri: RunUri) -> None:
    """Measure the pictures of a run: content, style, LPIPS, SSIM, PSNR, fdRL, swdL."""
    from deployments.comparing import score_pictures

    raise typer.Exit(score_pictures(run_uri))


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
