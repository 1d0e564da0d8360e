"""The command line: ``stylebatch --help``. Each command is a thin shell around one function.

Exit codes: 0 every row made or skipped; 3 finished with failed rows; 2 the request is wrong;
1 anything else. Imports inside commands keep ``--help`` and wrong requests fast.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.console import complain
from deployments.environment import wants_traceback
from deployments.run_commands import add_run_commands
from deployments.stack_commands import add_stack_commands
from stylecore.errors import JobError, StylebatchError

if TYPE_CHECKING:
    from stylecore.config import StylizeJob

app = typer.Typer(
    name="stylebatch",
    help="Stylize whole buckets of images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

train = typer.Typer(
    help="Train the networks that make pictures better.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(train, name="train")
add_stack_commands(app)

PresetName = Annotated[str | None, typer.Option("--preset", help="draft, standard or fine.")]
MaxSide = Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting, such as optimize.tv_weight=1."),
]
JobFile = Annotated[Path | None, typer.Argument(help="YAML file with the fields of a job.")]
Manifest = Annotated[
    str | None, typer.Option(help="Manifest (.parquet .jsonl .csv .txt, .gz), or a prefix.")
]
Allowed = Annotated[
    list[str] | None, typer.Option(help="Prefix that rows may name too; repeat for more.")
]
RefinerUri = Annotated[
    str | None,
    typer.Option(help="Refiner that `train refiner` wrote, or per-image: makes it more lifelike."),
]
SaveEvery = Annotated[
    int | None,
    typer.Option(help="Write an intermediate picture after every so many evaluations."),
]


def _job_command(name: str, help_text: str, act: Callable[[StylizeJob], int]) -> None:
    """Add a command that takes a whole job: as a file, as options, or both."""

    @app.command(name, help=help_text)
    def command(
        job: JobFile = None,
        manifest: Manifest = None,
        style: Annotated[
            list[str] | None, typer.Option(help="Painting; repeat for several styles.")
        ] = None,
        output: Annotated[str | None, typer.Option(help="Folder for pictures and runs.")] = None,
        preset: PresetName = None,
        max_side_px: MaxSide = None,
        method: Annotated[str | None, typer.Option(help="optimize or identity.")] = None,
        allow: Allowed = None,
        new_run: Annotated[
            bool, typer.Option("--new-run", help="Another run of the same job.")
        ] = False,
        refine: RefinerUri = None,
        save_every: SaveEvery = None,
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
            "refine": refine,
            "run_key": new_run_key() if new_run else None,
        }
        raise typer.Exit(act(build_job(job, options, _assignments(set_, save_every))))


def _assignments(given: list[str] | None, save_every: int | None) -> list[str]:
    """``--set`` with the one option that is a field of a field."""
    own = [] if save_every is None else [f"output.save_every={save_every}"]
    return [*own, *(given or [])]


def _run(job: StylizeJob) -> int:
    from deployments.running import run_job

    return run_job(job)


def _plan(job: StylizeJob) -> int:
    from deployments.inspecting import show_plan

    return show_plan(job)


_job_command("run", "Stylize every photograph of a manifest; prints the run's URI last.", _run)
_job_command("plan", "Say what `run` would do: rows, shards, duplicates, rejects, time.", _plan)


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
    request = build_job(None, options, _assignments(set_, save_every))
    make_image(request, mask or [], as_json=as_json)


add_run_commands(app)


@train.command()
def refiner(
    job: Annotated[
        Path | None, typer.Argument(help="YAML file with the fields of a training.")
    ] = None,
    style: Annotated[
        list[str] | None, typer.Option(help="Painting; several are taken as one style.")
    ] = None,
    content: Annotated[
        str | None, typer.Option(help="Folder of photographs, to stylize and learn from.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="Run whose pictures to learn from: <output>/runs/<run id>.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the refiner.")] = None,
    preset: PresetName = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a refiner for a style; the same command goes on with it after a stop."""
    from deployments.requests import build_request
    from deployments.training import train_refiner_here
    from stylecore.training.request import TrainRefinerJob

    options = {
        "styles": style,
        "content_uri": content,
        "pictures_uri": pictures,
        "output_uri": output,
        "preset": preset,
        "max_side_px": max_side_px,
    }
    request = build_request(TrainRefinerJob, job, options, set_ or [])
    raise typer.Exit(train_refiner_here(request))


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
def doctor() -> None:
    """Tell what is here and what is missing: device, weights, memory, storage, server."""
    from deployments.doctor import examine

    raise typer.Exit(examine())


def main() -> None:
    """Entry point: errors become sentences and exit codes, never tracebacks."""
    # Whoever ends us politely gets the same care as Ctrl-C, and no server is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(1)
    except Exception as error:
        if wants_traceback():
            raise
        complain(_sentence(error))
        sys.exit(2 if isinstance(error, JobError) else 1)


def _sentence(error: Exception) -> str:
    if isinstance(error, StylebatchError):
        return str(error)
    return (
        f"{type(error).__name__}: {error}\n"
        "This is a fault of stylebatch's; STYLEBATCH_DEBUG=1 shows where."
    )
