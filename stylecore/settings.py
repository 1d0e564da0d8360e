"""Settings of the methods, and what all settings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EncoderName = Literal["vgg16", "vgg19", "resnet50", "inception_v3"]
Pooling = Literal["max", "average", "average-rescaled"]
Smoothing = Literal["none", "softmax"]
KeepColor = Literal["no", "luminance", "histogram", "cholesky"]
PER_IMAGE: Final = "per-image"
LayerWeights = dict[str, Annotated[float, Field(ge=0, le=1e6)]]

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

_SPELLED: Final[Mapping[str, str]] = {"uri": "URI", "tv": "TV", "px": "in px", "num": "number of"}


def at_position(position: int) -> dict[str, Any]:
    """Place in the run form: without it, fields with a default come first, alphabetically."""
    return {"position": position}


def _title(name: str, _field: object) -> str:
    """A field's title in the run form: its name in words."""
    words = [_SPELLED.get(word, word) for word in name.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


class FrozenModel(BaseModel):
    """Immutable, and an unknown key is an error rather than a silent no-op."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, field_title_generator=_title
    )


class OptimizeSettings(FrozenModel):
    """Gatys et al. 2016: change the pixels until the network's statistics match."""

    num_evaluations: int | None = Field(
        None,
        ge=1,
        le=5000,
        description="Evaluations of the objective; empty means what the preset says.",
        json_schema_extra=at_position(0),
    )
    optimizer: Literal["lbfgs", "adam"] = Field(
        "lbfgs", description="Update rule.", json_schema_extra=at_position(1)
    )
    learning_rate: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Adam's step, in units of [0, 1].",
        json_schema_extra=at_position(2),
    )
    init: Literal["content", "noise", "color-matched", "image"] = Field(
        "content",
        description="Start from the photograph, from noise, from the photograph in the style's "
        "colors, or from the picture at init_uri.",
        json_schema_extra=at_position(3),
    )
    init_uri: str | None = Field(
        None,
        description="Picture to start from, with init: image.",
        json_schema_extra=at_position(4),
    )
    content_weight: float = Field(
        1.0,
        ge=0,
        le=1e9,
        description="Weight of the content loss.",
        json_schema_extra=at_position(5),
    )
    style_weight: float = Field(
        1e6,
        ge=0,
        le=1e12,
        description="Weight of the style loss.",
        json_schema_extra=at_position(6),
    )
    tv_weight: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Weight of the total variation.",
        json_schema_extra=at_position(7),
    )
    content_layers: tuple[str, ...] = Field(
        ("relu4_2",), min_length=1, description="Content layers.", json_schema_extra=at_position(8)
    )
    style_layers: tuple[str, ...] = Field(
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        min_length=1,
        description="Style layers.",
        json_schema_extra=at_position(9),
    )
    encoder: EncoderName = Field(
        "vgg16", description="Pretrained network.", json_schema_extra=at_position(10)
    )
    encoder_weights_uri: str | None = Field(
        None,
        description="Safetensors file with the network's weights; empty means the shipped VGG-16 "
        "or torchvision's.",
        json_schema_extra=at_position(11),
    )
    pooling: Pooling = Field(
        "max", description="Pooling between blocks.", json_schema_extra=at_position(12)
    )
    smoothing: Smoothing = Field(
        "none",
        description="Softmax-smoothed activations, which make ResNets usable for style.",
        json_schema_extra=at_position(13),
    )
    statistics: Literal["gram", "covariance"] = Field(
        "gram",
        description="What a style is measured by: Gram matrices, or those of centered features.",
        json_schema_extra=at_position(14),
    )
    style_scale: float = Field(
        1.0,
        ge=0.1,
        le=4,
        description="Longest side of the painting relative to the picture's: larger strokes above.",
        json_schema_extra=at_position(15),
    )
    content_layer_weights: LayerWeights = Field(
        {},
        description="Weight of single content layers; 1 else.",
        json_schema_extra=at_position(16),
    )
    style_layer_weights: LayerWeights = Field(
        {}, description="Weight of single style layers; 1 else.", json_schema_extra=at_position(17)
    )
    tile_px: int | None = Field(
        None,
        ge=128,
        le=8192,
        multiple_of=16,
        description="Longest side of the tiles that a large picture goes through the network by; "
        "empty: whole, or by tiles where memory is short.",
        json_schema_extra=at_position(18),
    )
    num_scales: int = Field(
        1,
        ge=1,
        le=8,
        description="Sizes from coarse to fine, each twice the one before; every one gets "
        "num_evaluations. Sizes under 64 px are left out.",
        json_schema_extra=at_position(19),
    )
    keep_color: KeepColor = Field(
        "no",
        description="Keep the photograph's colors: style its luminance only, or give the painting "
        "its colors first, by histogram or by mean and covariance (cholesky).",
        json_schema_extra=at_position(20),
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


class RefineSettings(FrozenModel):
    """A GAN that makes each picture more lifelike, behind a gate that refuses what is no better."""

    uri: str = Field(
        min_length=1,
        description="Refiner that `stylebatch train refiner` wrote (its folder or file), or "
        "per-image: train one on each picture, which takes minutes.",
        json_schema_extra=at_position(0),
    )
    strength: Literal["picture", "style"] = Field(
        "picture",
        description="How strong: chosen for each picture, or the one that the refiner's card names "
        "for the style.",
        json_schema_extra=at_position(1),
    )
    num_steps: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Steps of training on each picture, with per-image.",
        json_schema_extra=at_position(2),
    )

    @property
    def is_per_image(self) -> bool:
        """Whether each picture gets a refiner of its own."""
        return self.uri == PER_IMAGE

    @model_validator(mode="after")
    def _own_refiners_have_no_style(self) -> RefineSettings:
        if self.is_per_image and self.strength == "style":
            raise ValueError("strength: style needs a refiner of the style, not per-image")
        return self


class GeneratorSettings(FrozenModel):
    """A feed-forward network in place of optimizing."""

    uri: str = Field(
        min_length=1,
        description="Generator that `stylebatch train generator` or `train arbitrary` wrote: its "
        "folder or file.",
        json_schema_extra=at_position(0),
    )
    strength: float = Field(
        1.0,
        ge=0,
        le=1,
        description="How much of the style, for generators that take any painting.",
        json_schema_extra=at_position(1),
    )


class ThenSettings(FrozenModel):
    """What is done to a generator's pictures afterwards."""

    optimize: OptimizeSettings = Field(
        description="Optimize them on, with these settings, from the generator's picture.",
        json_schema_extra=at_position(0),
    )

    @model_validator(mode="after")
    def _begins_with_the_picture(self) -> ThenSettings:
        if self.optimize.num_evaluations is None:
            raise ValueError("then.optimize.num_evaluations: say how many, such as 20")
        if self.optimize.init != "content" or self.optimize.init_uri is not None:
            raise ValueError("then.optimize.init: it starts from the generator's picture")
        if self.optimize.encoder_weights_uri is not None:
            raise ValueError("then.optimize.encoder_weights_uri: only the default weights")
        return self
