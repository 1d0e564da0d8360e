"""Commands that take a whole job: ``run``, and ``plan``, which only tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from deployments.options import (
    Allowed,
    Assignments,
    GeneratorUri,
    JobFile,
    Manifest,
    MaxSide,
    Method,
    NewRun,
    Output,
    PresetName,
    RefinerUri,
    Runner,
    RunnerAddress,
    SaveEvery,
    Styles,
    assignments_of,
)

if TYPE_CHECKING:
    from stylecore.config import StylizeJob


def add_job_commands(app: typer.Typer) -> None:
    """Add the commands."""
    _job_command(
        app, "run", "Stylize every photograph of a manifest; prints the run's URI last.", _run
    )
    _job_command(
        app, "plan", "Say what `run` would do: rows, shards, duplicates, rejects, time.", _plan
    )


def _job_command(
    app: typer.Typer, name: str, help_text: str, act: Callable[[StylizeJob], int]
) -> None:
    """Add a command that takes a whole job: as a file, as options, or both."""

    @app.command(name, help=help_text)
    def command(
        job: JobFile = None,
        manifest: Manifest = None,
        style: Styles = None,
        output: Output = None,
        preset: PresetName = None,
        max_side_px: MaxSide = None,
        method: Method = None,
        allow: Allowed = None,
        new_run: NewRun = False,
        weights: GeneratorUri = None,
        refine: RefinerUri = None,
        save_every: SaveEvery = None,
        runner: Runner = None,
        runner_address: RunnerAddress = None,
        set_: Assignments = None,
    ) -> None:
        from deployments.requests import build_job, new_run_key

        options = {
            "manifest_uri": manifest,
            "styles": style,
            "output_uri": output,
            "preset": preset,
            "max_side_px": max_side_px,
            "method": method,
            "allow": allow,
            "generator": weights,
            "refine": refine,
            "runner": runner,
            "runner_address": runner_address,
            "run_key": new_run_key() if new_run else None,
        }
        raise typer.Exit(act(build_job(job, options, assignments_of(set_, save_every))))


def _run(job: StylizeJob) -> int:
    from deployments.running import run_job

    return run_job(job)


def _plan(job: StylizeJob) -> int:
    from deployments.inspecting import show_plan

    return show_plan(job)
