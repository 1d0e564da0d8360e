"""The commands that train networks: ``stylebatch train``, a part of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployments.options import Assignments, MaxSide, PresetName

train = typer.Typer(
    help="Train the networks that make pictures, or make them better.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


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
    from deployments.training import train_here
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
    raise typer.Exit(train_here(request))


@train.command()
def generator(
    job: Annotated[
        Path | None, typer.Argument(help="YAML file with the fields of a training.")
    ] = None,
    style: Annotated[
        list[str] | None, typer.Option(help="Painting; each is a style of its own.")
    ] = None,
    content: Annotated[
        str | None, typer.Option(help="Folder of photographs to learn from.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the generator.")] = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a feed-forward generator; the same command goes on with it after a stop."""
    from deployments.requests import build_request
    from deployments.training import train_here
    from stylecore.training.request import TrainGeneratorJob

    options = {
        "styles": style,
        "content_uri": content,
        "output_uri": output,
        "max_side_px": max_side_px,
    }
    request = build_request(TrainGeneratorJob, job, options, set_ or [])
    raise typer.Exit(train_here(request))


@train.command()
def arbitrary(
    job: Annotated[
        Path | None, typer.Argument(help="YAML file with the fields of a training.")
    ] = None,
    styles: Annotated[str | None, typer.Option(help="Folder of paintings to learn from.")] = None,
    content: Annotated[
        str | None, typer.Option(help="Folder of photographs to learn from.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the generator.")] = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a generator that takes any painting as its style; the same command goes on with it."""
    from deployments.requests import build_request
    from deployments.training import train_here
    from stylecore.training.request import TrainArbitraryJob

    options = {
        "styles_uri": styles,
        "content_uri": content,
        "output_uri": output,
        "max_side_px": max_side_px,
    }
    request = build_request(TrainArbitraryJob, job, options, set_ or [])
    raise typer.Exit(train_here(request))


@train.command()
def translator(
    job: Annotated[
        Path | None, typer.Argument(help="YAML file with the fields of a training.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Folder of pictures to translate: photographs.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Folder of pictures such as they shall become.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the translator.")] = None,
    max_side_px: MaxSide = None,
    set_: Assignments = None,
) -> None:
    """Train a translator between two kinds of pictures; the same command goes on with it."""
    from deployments.requests import build_request
    from deployments.training import train_here
    from stylecore.training.request import TrainTranslatorJob

    options = {"from_uri": from_, "to_uri": to, "output_uri": output, "max_side_px": max_side_px}
    request = build_request(TrainTranslatorJob, job, options, set_ or [])
    raise typer.Exit(train_here(request))
