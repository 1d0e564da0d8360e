"""What a user asks for: one model for the command line, ``job.yaml`` and the run form.

Every field is bounded, has a unit and a place in the form. Nothing here carries a credential.
Values resolve in the order preset, ``job.yaml``, options, ``--set``; a validated ``StylizeJob``
holds the expanded values, so what is written to ``job.json`` is what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Preset = Literal["draft", "standard", "fine"]
Method = Literal["optimize", "identity"]
EncoderName = Literal["vgg16", "vgg19", "resnet50", "inception_v3"]
Pooling = Literal["max", "average", "average-rescaled"]
Smoothing = Literal["none", "softmax"]
KeepColor = Literal["no", "luminance", "histogram", "cholesky"]
LayerWeights = dict[str, Annotated[float, Field(ge=0, le=1e6)]]

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "draft": {"optimize": {"num_evaluations": 20}},
    "standard": {"optimize": {"num_evaluations": 60}},
    "fine": {"optimize": {"num_evaluations": 150}},
}

# Layers where a job names none; those of the VGGs are the fields' own defaults. ResNet-50: the
# choice of the authors of activation smoothing (Wang et al. 2021), which is the last layer at each
# size of the feature maps; Inception-v3: by the same rule.
_LAYERS_OF: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "resnet50": {
        "content_layers": ("layer3_5",),
        "style_layers": ("relu1", "layer1_2", "layer2_3", "layer3_5", "layer4_2"),
    },
    "inception_v3": {
        "content_layers": ("Mixed_6e",),
        "style_layers": ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
    },
}


def _at(position: int) -> dict[str, Any]:
    """Place in the run form: without it, fields with a default come first, alphabetically."""
    return {"position": position}


class FrozenModel(BaseModel):
    """Immutable, and an unknown key is an error rather than a silent no-op."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StyleSource(FrozenModel):
    """A painting, and its share where several are blended into one style."""

    uri: str = Field(description="Where the painting is.", min_length=1, json_schema_extra=_at(0))
    weight: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Share in a blend. Give all styles a weight to blend them, or none to make "
        "every photograph in every style.",
        json_schema_extra=_at(1),
    )


def _style_from_uri(value: object) -> object:
    return {"uri": value} if isinstance(value, str) else value


class OptimizeSettings(FrozenModel):
    """Gatys et al. 2016: change the pixels until the network's statistics match."""

    num_evaluations: int | None = Field(
        None,
        ge=1,
        le=5000,
        description="Evaluations of the objective; empty means what the preset says.",
        json_schema_extra=_at(0),
    )
    optimizer: Literal["lbfgs", "adam"] = Field(
        "lbfgs", description="Update rule.", json_schema_extra=_at(1)
    )
    learning_rate: float = Field(
        0.02, gt=0, le=1, description="Adam's step, in units of [0, 1].", json_schema_extra=_at(2)
    )
    init: Literal["content", "noise", "color-matched", "image"] = Field(
        "content",
        description="Start from the photograph, from noise, from the photograph in the style's "
        "colors, or from the picture at init_uri.",
        json_schema_extra=_at(3),
    )
    init_uri: str | None = Field(
        None, description="Picture to start from, with init: image.", json_schema_extra=_at(4)
    )
    content_weight: float = Field(
        1.0, ge=0, le=1e9, description="Weight of the content loss.", json_schema_extra=_at(5)
    )
    style_weight: float = Field(
        1e6, ge=0, le=1e12, description="Weight of the style loss.", json_schema_extra=_at(6)
    )
    tv_weight: float = Field(
        0.0, ge=0, le=1e9, description="Weight of the total variation.", json_schema_extra=_at(7)
    )
    content_layers: tuple[str, ...] = Field(
        ("relu4_2",), min_length=1, description="Content layers.", json_schema_extra=_at(8)
    )
    style_layers: tuple[str, ...] = Field(
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        min_length=1,
        description="Style layers.",
        json_schema_extra=_at(9),
    )
    encoder: EncoderName = Field(
        "vgg16", description="Pretrained network.", json_schema_extra=_at(10)
    )
    encoder_weights_uri: str | None = Field(
        None,
        description="Safetensors file with the network's weights; empty means the shipped VGG-16 "
        "or torchvision's.",
        json_schema_extra=_at(11),
    )
    pooling: Pooling = Field(
        "max", description="Pooling between blocks.", json_schema_extra=_at(12)
    )
    smoothing: Smoothing = Field(
        "none",
        description="Softmax-smoothed activations, which make ResNets usable for style.",
        json_schema_extra=_at(13),
    )
    statistics: Literal["gram", "covariance"] = Field(
        "gram",
        description="What a style is measured by: Gram matrices, or those of centered features.",
        json_schema_extra=_at(14),
    )
    style_scale: float = Field(
        1.0,
        ge=0.1,
        le=4,
        description="Longest side of the painting relative to the picture's: larger strokes above.",
        json_schema_extra=_at(15),
    )
    content_layer_weights: LayerWeights = Field(
        {}, description="Weight of single content layers; 1 else.", json_schema_extra=_at(16)
    )
    style_layer_weights: LayerWeights = Field(
        {}, description="Weight of single style layers; 1 else.", json_schema_extra=_at(17)
    )
    keep_color: KeepColor = Field(
        "no",
        description="Keep the photograph's colors: style its luminance only, or give the painting "
        "its colors first, by histogram or by mean and covariance (cholesky).",
        json_schema_extra=_at(18),
    )

    @model_validator(mode="before")
    @classmethod
    def _take_the_layers_of_the_encoder(cls, raw: object) -> object:
        """Put the encoder's own layers where the request names none."""
        if not isinstance(raw, Mapping):
            return raw
        encoder = raw.get("encoder")
        layers = _LAYERS_OF.get(encoder) if isinstance(encoder, str) else None
        return raw if layers is None else {**layers, **raw}

    @model_validator(mode="after")
    def _init_uri_goes_with_init_image(self) -> OptimizeSettings:
        if (self.init == "image") != (self.init_uri is not None):
            raise ValueError("init: image and init_uri go together")
        return self

    @model_validator(mode="after")
    def _layer_weights_are_of_layers_in_use(self) -> OptimizeSettings:
        unused = {*self.content_layer_weights} - {*self.content_layers}
        unused |= {*self.style_layer_weights} - {*self.style_layers}
        if unused:
            raise ValueError(f"layer weights for layers not in use: {', '.join(sorted(unused))}")
        return self


class OutputSettings(FrozenModel):
    """How a picture is written."""

    format: Literal["jpeg", "png", "webp"] = Field(
        "jpeg", description="File format of the pictures.", json_schema_extra=_at(0)
    )
    quality: int = Field(
        95, ge=1, le=100, description="JPEG and WebP quality.", json_schema_extra=_at(1)
    )


class Limits(FrozenModel):
    """What one row, and one shard, may cost."""

    max_bytes: int = Field(
        64 * 1024**2, ge=1, description="Largest input file, in bytes.", json_schema_extra=_at(0)
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1,
        le=178_956_970,
        description="Largest input, in pixels.",
        json_schema_extra=_at(1),
    )
    picture_seconds: float | None = Field(
        None, gt=0, description="Time for one picture; empty: none.", json_schema_extra=_at(2)
    )
    rows_per_shard: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="Rows of a shard; empty: about ten minutes of work.",
        json_schema_extra=_at(3),
    )


class StylizeJob(FrozenModel):
    """A whole batch: which photographs, in which styles, to where, and how."""

    manifest_uri: str = Field(
        min_length=1,
        description="Manifest (.parquet, .jsonl, .csv, .txt; also .gz), or a prefix to list.",
        json_schema_extra=_at(0),
    )
    styles: Annotated[
        tuple[Annotated[StyleSource, BeforeValidator(_style_from_uri)], ...],
        Field(description="Paintings; may be empty if every row names its own style."),
    ] = Field((), json_schema_extra=_at(1))
    cascade: bool = Field(
        False,
        description="Apply the styles one after another, each to the picture of the one before.",
        json_schema_extra=_at(2),
    )
    output_uri: str = Field(
        min_length=1, description="Folder for pictures and runs.", json_schema_extra=_at(3)
    )
    preset: Preset = Field("standard", description="How far to go.", json_schema_extra=_at(4))
    max_side_px: int = Field(
        512, ge=16, le=8192, description="Longest side of a picture.", json_schema_extra=_at(5)
    )
    method: Method = Field(
        "optimize",
        description="How to stylize; identity only resizes, to rehearse a job.",
        json_schema_extra=_at(6),
    )
    optimize: OptimizeSettings = Field(
        OptimizeSettings(), description="Settings of the method optimize.", json_schema_extra=_at(7)
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed.", json_schema_extra=_at(8))
    output: OutputSettings = Field(
        OutputSettings(), description="How pictures are written.", json_schema_extra=_at(9)
    )
    limits: Limits = Field(
        Limits(), description="What a row and a shard may cost.", json_schema_extra=_at(10)
    )
    allow: tuple[str, ...] = Field(
        (),
        description="Prefixes that rows may name besides the manifest's and the styles' buckets.",
        json_schema_extra=_at(11),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where to compute: auto, cpu, cuda or cuda:N.",
        json_schema_extra=_at(12),
    )
    run_key: str = Field(
        "",
        max_length=200,
        description="Any text; another text makes another run of the same job.",
        json_schema_extra=_at(13),
    )

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: object) -> object:
        """Put the preset's values where the request left them open."""
        if not isinstance(raw, Mapping):
            return raw
        preset = raw.get("preset", "standard")
        defaults = PRESETS.get(preset) if isinstance(preset, str) else None
        return raw if defaults is None else _fill(raw, defaults)

    @model_validator(mode="after")
    def _weights_for_all_styles_or_none(self) -> StylizeJob:
        given = [style.weight is not None for style in self.styles]
        if any(given) and not all(given):
            raise ValueError("styles: give every style a weight (a blend) or none")
        if self.cascade and any(given):
            raise ValueError("styles: a cascade takes no weights")
        return self


def _fill(raw: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` with missing or null values taken from ``defaults``, key by key."""
    filled = dict(raw)
    for key, default in defaults.items():
        value = raw.get(key)
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(default, Mapping) and isinstance(value, Mapping | None):
            filled[key] = _fill(value or {}, default)
        elif value is None:
            filled[key] = default
    return filled


def pixel_settings(job: StylizeJob) -> dict[str, Any]:
    """The settings that change pixels: what a fingerprint is taken over, besides the inputs.

    Where an input lies is not among them; its bytes are, through the digest of the inputs.
    """
    settings: dict[str, Any] = {
        "method": job.method,
        "max_side_px": job.max_side_px,
        "output": job.output.model_dump(mode="json"),
    }
    if job.method == "optimize":
        settings["seed"] = job.seed
        settings["cascade"] = job.cascade
        places = {"encoder_weights_uri", "init_uri"}
        settings["optimize"] = job.optimize.model_dump(mode="json", exclude=places)
    return settings
