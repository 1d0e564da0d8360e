"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Styles = Annotated[list[str] | None, typer.Option(help="Painting; repeat for several styles.")]
Output = Annotated[str | None, typer.Option(help="Folder for pictures and runs.")]
Method = Annotated[str | None, typer.Option(help="optimize, generator or identity.")]
NewRun = Annotated[bool, typer.Option("--new-run", help="Another run of the same job.")]
Allowed = Annotated[
    list[str] | None, typer.Option(help="Prefix that rows may name too; repeat for more.")
]
RefinerUri = Annotated[
    str | None,
    typer.Option(help="Refiner that `train refiner` wrote, or per-image: makes it more lifelike."),
]
GeneratorUri = Annotated[
    str | None,
    typer.Option(help="Network that `train generator`, `arbitrary` or `translator` wrote."),
]
SaveEvery = Annotated[
    int | None,
    typer.Option(help="Write an intermediate picture after every so many evaluations."),
]
Runner = Annotated[
    str | None,
    typer.Option(help="What works through the shards: threads, dask or ray; default: threads."),
]
RunnerAddress = Annotated[
    str | None,
    typer.Option(help="Address of a Dask or Ray cluster; without it, one is started here."),
]
RunUri = Annotated[str, typer.Argument(help="<output>/runs/<run id>, as `run` prints it last.")]


def assignments_of(given: list[str] | None, save_every: int | None) -> list[str]:
    """``--set`` with the one option that is a field of a field."""
    own = [] if save_every is None else [f"output.save_every={save_every}"]
    return [*own, *(given or [])]
