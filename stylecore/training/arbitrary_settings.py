"""Settings of training an arbitrary generator. Without torch, as those beside it."""

from __future__ import annotations

from pydantic import Field

from stylecore.settings import FrozenModel, at_position


class TrainArbitrarySettings(FrozenModel):
    """A decoder that draws what adaptive instance normalization makes of the encoder's features."""

    num_steps: int = Field(
        20_000,
        ge=1,
        le=10_000_000,
        description="Steps of the training.",
        json_schema_extra=at_position(0),
    )
    batch_size: int = Field(
        1, ge=1, le=256, description="Crops a step.", json_schema_extra=at_position(1)
    )
    crop_px: int = Field(
        128,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Side of the square crops; smaller photographs are extended by reflection.",
        json_schema_extra=at_position(2),
    )
    width: int = Field(
        32,
        ge=4,
        le=256,
        description="Channels of the decoder at full size; 64 in the paper.",
        json_schema_extra=at_position(3),
    )
    num_blocks: int = Field(
        2,
        ge=0,
        le=32,
        description="Convolutions at quarter size; 3 in the paper.",
        json_schema_extra=at_position(4),
    )
    content_weight: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="Weight of the content loss, relative to the features to draw.",
        json_schema_extra=at_position(5),
    )
    style_weight: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="Weight of the style loss, relative to the style's statistics.",
        json_schema_extra=at_position(6),
    )
    num_views: int = Field(
        300,
        ge=1,
        le=100_000,
        description="Parts of paintings, half of them in other colors, that are measured before "
        "the first step, to be drawn from as styles.",
        json_schema_extra=at_position(7),
    )
    photograph_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of these that are of photographs: where paintings are few, the decoder "
        "would else see few statistics.",
        json_schema_extra=at_position(8),
    )
    mixing_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the crops whose style is a mixture: of two styles, or of a style and "
        "the photograph's own.",
        json_schema_extra=at_position(9),
    )
    drawing_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the steps that draw photographs from their own features, in no "
        "style; they cost a third.",
        json_schema_extra=at_position(10),
    )
    drawing_weight: float = Field(
        30.0,
        ge=0,
        le=1e6,
        description="Weight of the mean squared difference of the pixels in these steps.",
        json_schema_extra=at_position(11),
    )
    learning_rate: float = Field(
        5e-4,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(12),
    )
    averaging: float = Field(
        0.995,
        ge=0,
        lt=1,
        description="Memory of the averaged decoder, a step.",
        json_schema_extra=at_position(13),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest norm of a gradient.",
        json_schema_extra=at_position(14),
    )
    num_validation_photographs: int = Field(
        4,
        ge=1,
        le=100,
        description="Photographs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(15),
    )
    num_validation_paintings: int = Field(
        2,
        ge=0,
        le=100,
        description="Paintings kept from training, in which these photographs are made; 0: the "
        "first three of those that are trained on.",
        json_schema_extra=at_position(16),
    )
    num_validations: int = Field(
        10,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the decoder is validated.",
        json_schema_extra=at_position(17),
    )
    max_photographs: int = Field(
        2000,
        ge=2,
        le=100_000,
        description="How many photographs to train on at most: each takes half a megabyte of "
        "memory at 512 px.",
        json_schema_extra=at_position(18),
    )
    max_paintings: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="How many paintings to train on at most.",
        json_schema_extra=at_position(19),
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Of all chance.", json_schema_extra=at_position(20)
    )
