"""The commands that train networks: ``stylebatch train``, a part of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deployments.options import Assignments, MaxSide, PresetName

if TYPE_CHECKING:
    from stylecore.training.request import TrainingJob

train = typer.Typer(
    help="Train the networks that make pictures, or make them better.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

JobFile = Annotated[Path | None, typer.Argument(help="YAML file with the fields of a training.")]
Content = Annotated[str | None, typer.Option(help="Folder of photographs to learn from.")]
Output = Annotated[str | None, typer.Option(help="Folder for the network.")]


@train.command()
def refiner(
    job: JobFile = None,
    style: Annotated[
        list[str] | None, typer.Option(help="Painting; several are taken as one style.")
    ] = None,
    content: Annotated[
        str | None, typer.Option(help="Folder of photographs, to stylize and learn from.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="Run whose pictures to learn from: <output>/runs/<run id>.")
    ] = None,
    output: Output = None,
    preset: PresetName = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a refiner for a style; the same command goes on with it after a stop."""
    from stylecore.training.request import TrainRefinerJob

    options = {
        "styles": style,
        "content_uri": content,
        "pictures_uri": pictures,
        "output_uri": output,
        "preset": preset,
        "max_side_px": max_side_px,
    }
    _train(TrainRefinerJob, job, options, set_)


@train.command()
def generator(
    job: JobFile = None,
    style: Annotated[
        list[str] | None, typer.Option(help="Painting; each is a style of its own.")
    ] = None,
    content: Content = None,
    output: Output = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a feed-forward generator; the same command goes on with it after a stop."""
    from stylecore.training.request import TrainGeneratorJob

    options = {
        "styles": style,
        "content_uri": content,
        "output_uri": output,
        "max_side_px": max_side_px,
    }
    _train(TrainGeneratorJob, job, options, set_)


@train.command()
def arbitrary(
    job: JobFile = None,
    styles: Annotated[str | None, typer.Option(help="Folder of paintings to learn from.")] = None,
    content: Content = None,
    output: Output = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a generator that takes any painting as its style; the same command goes on with it."""
    from stylecore.training.request import TrainArbitraryJob

    options = {
        "styles_uri": styles,
        "content_uri": content,
        "output_uri": output,
        "max_side_px": max_side_px,
    }
    _train(TrainArbitraryJob, job, options, set_)


@train.command()
def translator(
    job: JobFile = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Folder of pictures to translate: photographs.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Folder of pictures such as they shall become.")
    ] = None,
    output: Output = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a translator between two kinds of pictures; the same command goes on with it."""
    from stylecore.training.request import TrainTranslatorJob

    options = {"from_uri": from_, "to_uri": to, "output_uri": output, "max_side_px": max_side_px}
    _train(TrainTranslatorJob, job, options, set_)


def _train(
    kind: type[TrainingJob],
    job: Path | None,
    options: Mapping[str, object],
    assignments: list[str] | None,
) -> NoReturn:
    from deployments.requests import build_request
    from deployments.training import train_here

    raise typer.Exit(train_here(build_request(kind, job, options, assignments or [])))
