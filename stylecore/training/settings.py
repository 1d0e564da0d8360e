"""Settings of training networks. Without torch: a request is checked before torch is loaded."""

from __future__ import annotations

from pydantic import Field

from stylecore.settings import at_position
from stylecore.training.shared_settings import (
    AdversarySettings,
    FeedForwardSettings,
    TrainingSettings,
)


class TrainRefinerSettings(AdversarySettings, TrainingSettings):
    """A GAN on pairs of stylized pictures and photographs, against the paintings of the style."""

    num_steps: int = Field(
        400,
        ge=1,
        le=1_000_000,
        description="Steps of the alternation.",
        json_schema_extra=at_position(0),
    )
    batch_size: int = Field(
        4, ge=1, le=256, description="Crops a step.", json_schema_extra=at_position(1)
    )
    crop_px: int = Field(
        112,
        ge=32,
        le=1024,
        multiple_of=8,
        description="Side of the square crops; smaller pictures and paintings are taken whole.",
        json_schema_extra=at_position(2),
    )
    adversary_weight: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Weight of the adversary; 0 trains without one.",
        json_schema_extra=at_position(11),
    )
    feature_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of matching the discriminator's features, in mean and deviation.",
        json_schema_extra=at_position(12),
    )
    content_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of staying like the photograph, relative to its features.",
        json_schema_extra=at_position(13),
    )
    style_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of the Gram matrices, relative to the painting's.",
        json_schema_extra=at_position(14),
    )
    residual_weight: float = Field(
        0.2,
        ge=0,
        le=1000,
        description="Weight of the mean absolute change of 8 x 8 px blocks: colors stay.",
        json_schema_extra=at_position(15),
    )
    structure_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of the structural similarity to the photograph that is lost.",
        json_schema_extra=at_position(16),
    )
    perception_every: int = Field(
        4,
        ge=1,
        le=100,
        description="Steps from one use of the pretrained network to the next.",
        json_schema_extra=at_position(17),
    )
    generator_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="Adam's step.", json_schema_extra=at_position(40)
    )
    discriminator_learning_rate: float = Field(
        2e-3, gt=0, le=1, description="Adam's step.", json_schema_extra=at_position(41)
    )
    averaging: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="Memory of the averaged network, a step.",
        json_schema_extra=at_position(44),
    )
    num_validations: int = Field(
        6,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the network is validated.",
        json_schema_extra=at_position(50),
    )
    spectral_norm: bool = Field(
        False,
        description="Spectral normalization of the discriminator.",
        json_schema_extra=at_position(46),
    )
    validation_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the pairs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(51),
    )


class TrainGeneratorSettings(AdversarySettings, FeedForwardSettings):
    """A feed-forward network on crops of photographs, for the optimizer's objective."""

    crop_px: int = Field(
        256,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Side of the square crops; smaller pictures are extended by reflection.",
        json_schema_extra=at_position(2),
    )
    content_weight: float = Field(
        1.0,
        gt=0,
        le=1e9,
        description="Weight of the content loss at the end of the training, as in optimizing.",
        json_schema_extra=at_position(5),
    )
    first_content_weight: float = Field(
        20.0,
        gt=0,
        le=1e9,
        description="The same at the start: what is lost of a photograph early is not found again.",
        json_schema_extra=at_position(6),
    )
    content_power: float = Field(
        2.0,
        ge=1,
        le=8,
        description="Of the mean of the content loss over a crop: above 1, no part of a photograph "
        "is given up so that the others stay as they are; 1 is what optimizing takes.",
        json_schema_extra=at_position(7),
    )
    style_weight: float = Field(
        1e6,
        ge=0,
        le=1e12,
        description="Weight of the style loss, as in optimizing.",
        json_schema_extra=at_position(8),
    )
    adversary_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of the adversary; 0 trains without one.",
        json_schema_extra=at_position(11),
    )
    max_photographs: int = Field(
        2000,
        ge=2,
        le=100_000,
        description="How many photographs to train on at most: each takes half a megabyte of "
        "memory at 512 px.",
        json_schema_extra=at_position(52),
    )
