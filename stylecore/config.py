"""What a user asks for: one model for the command line, ``job.yaml`` and the run form.

Every field is bounded, has a unit and a place in the form. Nothing here carries a credential.
Values resolve in the order preset, ``job.yaml``, options, ``--set``; a validated ``StylizeJob``
holds the expanded values, so what is written to ``job.json`` is what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from stylecore.presets import PRESETS, Preset, fill_fields, open_fields
from stylecore.settings import (
    FrozenModel,
    GeneratorSettings,
    OptimizeSettings,
    RefineSettings,
    ThenSettings,
    at_position,
)

Method = Literal["optimize", "generator", "identity"]
RunnerName = Literal["threads", "dask", "ray"]
_EVALUATIONS: Final = "evaluations: " + ", ".join(
    f"{name} {preset['optimize']['num_evaluations']}" for name, preset in PRESETS.items()
)


class StyleSource(FrozenModel):
    """A painting, and its share where several are blended into one style."""

    uri: str = Field(
        description="Where the painting is.", min_length=1, json_schema_extra=at_position(0)
    )
    weight: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Share in a blend. Give all styles a weight to blend them, or none to make "
        "every photograph in every style.",
        json_schema_extra=at_position(1),
    )
    mask_uri: str | None = Field(
        None,
        min_length=1,
        description="Picture of the painting's size that says which part of it counts: what is "
        "white; empty: all of it.",
        json_schema_extra=at_position(2),
    )


def _from_uri(value: object) -> object:
    return {"uri": value} if isinstance(value, str) else value


class OutputSettings(FrozenModel):
    """How a picture is written."""

    format: Literal["jpeg", "png", "webp"] = Field(
        "jpeg", description="File format of the pictures.", json_schema_extra=at_position(0)
    )
    quality: int = Field(
        95, ge=1, le=100, description="JPEG and WebP quality.", json_schema_extra=at_position(1)
    )
    save_every: int = Field(
        0,
        ge=0,
        le=5000,
        description="Evaluations between two intermediate pictures, for a time lapse; 0: none.",
        json_schema_extra=at_position(2),
    )


class Limits(FrozenModel):
    """What one row, one shard and one run may cost."""

    max_bytes: int = Field(
        64 * 1024**2,
        ge=1,
        description="Largest input file, in bytes.",
        json_schema_extra=at_position(0),
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1,
        le=178_956_970,
        description="Largest input, in pixels.",
        json_schema_extra=at_position(1),
    )
    picture_seconds: float | None = Field(
        None,
        gt=0,
        description="Time for one picture; empty: none.",
        json_schema_extra=at_position(2),
    )
    rows_per_shard: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="Rows of a shard; empty: about ten minutes of work.",
        json_schema_extra=at_position(3),
    )
    run_minutes: float | None = Field(
        None,
        gt=0,
        description="Minutes after which a run begins no more pictures and ends; the next start "
        "of the job goes on. Empty: it ends when all are made.",
        json_schema_extra=at_position(4),
    )


class StylizeJob(FrozenModel):
    """A whole batch: which photographs, in which styles, to where, and how."""

    manifest_uri: str = Field(
        min_length=1,
        description="Manifest (.parquet, .jsonl, .csv, .txt; also .gz), or a prefix to list.",
        json_schema_extra=at_position(0),
    )
    styles: Annotated[
        tuple[Annotated[StyleSource, BeforeValidator(_from_uri)], ...],
        Field(description="Paintings; may be empty if every row names its own style."),
    ] = Field((), json_schema_extra=at_position(1))
    output_uri: str = Field(
        min_length=1, description="Folder for pictures and runs.", json_schema_extra=at_position(2)
    )
    preset: Preset = Field(
        "standard", description=f"How far to go; {_EVALUATIONS}.", json_schema_extra=at_position(3)
    )
    max_side_px: int = Field(
        512,
        ge=16,
        le=8192,
        description="Longest side of a picture.",
        json_schema_extra=at_position(4),
    )
    method: Method = Field(
        "optimize",
        description="How to stylize: optimize each picture, or one pass through a trained "
        "generator; identity only resizes, to rehearse a job.",
        json_schema_extra=at_position(5),
    )
    cascade: bool = Field(
        False,
        description="Apply the styles one after another, each to the picture of the one before.",
        json_schema_extra=at_position(6),
    )
    regions: bool = Field(
        False,
        description="Every row names in mask_uri one mask for each style, in their order: each "
        "style goes where its mask is white.",
        json_schema_extra=at_position(7),
    )
    optimize: OptimizeSettings = Field(
        OptimizeSettings(),
        description="Settings of the method optimize.",
        json_schema_extra=at_position(8),
    )
    generator: Annotated[GeneratorSettings | None, BeforeValidator(_from_uri)] = Field(
        None,
        description="The generator, with the method generator.",
        json_schema_extra=at_position(9),
    )
    then: ThenSettings | None = Field(
        None,
        description="What is done to the generator's pictures; empty: nothing.",
        json_schema_extra=at_position(10),
    )
    refine: Annotated[RefineSettings | None, BeforeValidator(_from_uri)] = Field(
        None,
        description="Refiner that goes over each picture; empty: none.",
        json_schema_extra=at_position(11),
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed.", json_schema_extra=at_position(12))
    output: OutputSettings = Field(
        OutputSettings(), description="How pictures are written.", json_schema_extra=at_position(13)
    )
    limits: Limits = Field(
        Limits(),
        description="What a row, a shard and a run may cost.",
        json_schema_extra=at_position(14),
    )
    allow: tuple[str, ...] = Field(
        (),
        description="Prefixes that rows may name besides the manifest's and the styles' buckets.",
        json_schema_extra=at_position(15),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where to compute: auto, cpu, cuda or cuda:N.",
        json_schema_extra=at_position(16),
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Pictures of one size that are optimized at once, if they fit in memory; "
        "empty: 1 on a CPU, 8 on a GPU.",
        json_schema_extra=at_position(17),
    )
    runner: RunnerName = Field(
        "threads",
        description="What works through the shards: threads of this process, or a Dask or Ray "
        "cluster.",
        json_schema_extra=at_position(18),
    )
    runner_address: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        pattern=r"^[^@\s]*$",
        description="Address of a cluster that is there, such as tcp://10.0.0.5:8786 (Dask) or "
        "ray://10.0.0.5:10001; empty: one on this machine for the time of the run.",
        json_schema_extra=at_position(19),
    )
    run_key: str = Field(
        "",
        max_length=200,
        description="Any text; another text makes another run of the same job.",
        json_schema_extra=at_position(20),
    )

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: object) -> object:
        """Put the preset's values where the request left them open."""
        if not isinstance(raw, Mapping):
            return raw
        preset = raw.get("preset", "standard")
        defaults = PRESETS.get(preset) if isinstance(preset, str) else None
        return raw if defaults is None else fill_fields(raw, defaults)

    @model_validator(mode="after")
    def _weights_for_all_styles_or_none(self) -> StylizeJob:
        given = [style.weight is not None for style in self.styles]
        if any(given) and not all(given):
            raise ValueError("styles: give every style a weight (a blend) or none")
        if self.cascade and any(given):
            raise ValueError("styles: a cascade takes no weights")
        return self

    @model_validator(mode="after")
    def _a_rehearsal_is_not_refined(self) -> StylizeJob:
        if self.refine is not None and self.method == "identity":
            raise ValueError("refine: identity makes no pictures to refine; leave one of them out")
        return self

    @model_validator(mode="after")
    def _generators_generate(self) -> StylizeJob:
        if self.method == "generator" and self.generator is None:
            raise ValueError("generator: name the generator to use (generator.uri, --weights)")
        for name in ("generator", "then"):
            if self.method != "generator" and getattr(self, name) is not None:
                raise ValueError(f"{name}: is for the method generator; leave one of them out")
        if self.method == "generator" and (self.cascade or self.regions):
            raise ValueError("generator: takes neither regions nor a cascade; use optimize")
        if self.method == "generator" and any(style.mask_uri for style in self.styles):
            raise ValueError("styles: a generator takes no masks; use optimize")
        return self

    @model_validator(mode="after")
    def _threads_have_no_address(self) -> StylizeJob:
        if self.runner_address is not None and self.runner == "threads":
            raise ValueError("runner_address: threads are in this process; name dask or ray too")
        return self

    @model_validator(mode="after")
    def _cascade_takes_no_masks(self) -> StylizeJob:
        if self.cascade and self.regions:
            raise ValueError("regions and cascade exclude each other: choose one of them")
        if self.cascade and any(style.mask_uri for style in self.styles):
            raise ValueError("styles: a cascade takes no masks")
        return self


def without_preset(job: StylizeJob) -> dict[str, Any]:
    """The fields of a job as JSON values, null where they are what its preset says."""
    return open_fields(job.model_dump(mode="json"), PRESETS[job.preset])
