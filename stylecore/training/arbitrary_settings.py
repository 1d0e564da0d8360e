"""Settings of training an arbitrary generator. Without torch, as those beside it."""

from __future__ import annotations

from pydantic import Field

from stylecore.settings import at_position
from stylecore.training.shared_settings import FeedForwardSettings


class TrainArbitrarySettings(FeedForwardSettings):
    """A decoder that draws what adaptive instance normalization makes of the encoder's features."""

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
        json_schema_extra=at_position(10),
    )
    style_weight: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="Weight of the style loss, relative to the style's statistics.",
        json_schema_extra=at_position(11),
    )
    num_views: int = Field(
        300,
        ge=1,
        le=100_000,
        description="Parts of paintings, half of them in other colors, that are measured before "
        "the first step, to be drawn from as styles.",
        json_schema_extra=at_position(12),
    )
    photograph_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of these that are of photographs: where paintings are few, the decoder "
        "would else see few statistics.",
        json_schema_extra=at_position(13),
    )
    mixing_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the crops whose style is a mixture: of two styles, or of a style and "
        "the photograph's own.",
        json_schema_extra=at_position(14),
    )
    drawing_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the steps that draw photographs from their own features, in no "
        "style; they cost a third.",
        json_schema_extra=at_position(15),
    )
    drawing_weight: float = Field(
        30.0,
        ge=0,
        le=1e6,
        description="Weight of the mean squared difference of the pixels in these steps.",
        json_schema_extra=at_position(16),
    )
    learning_rate: float = Field(
        5e-4,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(40),
    )
    num_validation_photographs: int = Field(
        4,
        ge=1,
        le=100,
        description="Photographs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(51),
    )
    num_validation_paintings: int = Field(
        2,
        ge=0,
        le=100,
        description="Paintings kept from training, in which these photographs are made; 0: the "
        "first three of those that are trained on.",
        json_schema_extra=at_position(52),
    )
    max_photographs: int = Field(
        2000,
        ge=2,
        le=100_000,
        description="How many photographs to train on at most: each takes half a megabyte of "
        "memory at 512 px.",
        json_schema_extra=at_position(53),
    )
    max_paintings: int = Field(
        2000,
        ge=1,
        le=100_000,
        description="How many paintings to train on at most.",
        json_schema_extra=at_position(54),
    )
