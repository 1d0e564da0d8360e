"""What the settings of all trainings have in common. Without torch, as those beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stylecore.settings import FrozenModel, at_position

AdversaryName = Literal["bce", "hinge", "least-squares"]


class TrainingSettings(FrozenModel):
    """Of any network: how long, on what crops, and which weights are kept.

    In a form these stand first and last, and a training's own fields between them.
    """

    num_steps: int = Field(
        20_000,
        ge=1,
        le=10_000_000,
        description="Steps of the training.",
        json_schema_extra=at_position(0),
    )
    batch_size: int = Field(
        1,
        ge=1,
        le=256,
        description="Crops a step; of a translator: of each kind.",
        json_schema_extra=at_position(1),
    )
    crop_px: int = Field(
        128,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Side of the square crops; smaller pictures are extended by reflection.",
        json_schema_extra=at_position(2),
    )
    averaging: float = Field(
        0.995,
        ge=0,
        lt=1,
        description="Memory of the averaged network, a step.",
        json_schema_extra=at_position(44),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest norm of a gradient.",
        json_schema_extra=at_position(45),
    )
    num_validations: int = Field(
        10,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the network is validated.",
        json_schema_extra=at_position(50),
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Of all chance.", json_schema_extra=at_position(60)
    )


class FeedForwardSettings(TrainingSettings):
    """Of a network that draws whole pictures: how large it is, and what is kept to judge it."""

    width: int = Field(
        24,
        ge=4,
        le=256,
        description="Channels of the network at full size.",
        json_schema_extra=at_position(3),
    )
    num_blocks: int = Field(
        4,
        ge=0,
        le=32,
        description="Residual blocks of the network.",
        json_schema_extra=at_position(4),
    )
    num_validation_photographs: int = Field(
        6,
        ge=1,
        le=100,
        description="Photographs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(51),
    )


class AdversarySettings(FrozenModel):
    """Of a discriminator that takes part."""

    adversary: AdversaryName = Field(
        "bce",
        description="The loss that both networks play for, where there is an adversary.",
        json_schema_extra=at_position(10),
    )
    generator_learning_rate: float = Field(
        3e-3,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(40),
    )
    discriminator_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="The same.", json_schema_extra=at_position(41)
    )
    noise: float = Field(
        0.05,
        ge=0,
        le=2,
        description="Noise on what the discriminator sees at the start, in standard deviations.",
        json_schema_extra=at_position(42),
    )
    success_limit: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="The discriminator waits while it calls more than this share rightly.",
        json_schema_extra=at_position(43),
    )
