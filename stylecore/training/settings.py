"""Settings of training networks. Without torch: a request is checked before torch is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stylecore.settings import FrozenModel, at_position


class TrainRefinerSettings(FrozenModel):
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
    adversary: Literal["bce", "hinge", "least-squares"] = Field(
        "bce",
        description="The loss that both networks play for.",
        json_schema_extra=at_position(3),
    )
    adversary_weight: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Weight of the adversary; 0 trains without one.",
        json_schema_extra=at_position(4),
    )
    feature_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of matching the discriminator's features, in mean and deviation.",
        json_schema_extra=at_position(5),
    )
    content_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of staying like the photograph, relative to its features.",
        json_schema_extra=at_position(6),
    )
    style_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of the Gram matrices, relative to the painting's.",
        json_schema_extra=at_position(7),
    )
    residual_weight: float = Field(
        0.2,
        ge=0,
        le=1000,
        description="Weight of the mean absolute change of 8 x 8 px blocks: colors stay.",
        json_schema_extra=at_position(8),
    )
    structure_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        description="Weight of the structural similarity to the photograph that is lost.",
        json_schema_extra=at_position(9),
    )
    perception_every: int = Field(
        4,
        ge=1,
        le=100,
        description="Steps from one use of the pretrained network to the next.",
        json_schema_extra=at_position(10),
    )
    generator_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="Adam's step.", json_schema_extra=at_position(11)
    )
    discriminator_learning_rate: float = Field(
        2e-3, gt=0, le=1, description="Adam's step.", json_schema_extra=at_position(12)
    )
    averaging: float = Field(
        0.98,
        ge=0,
        lt=1,
        description="Memory of the averaged generator, a step.",
        json_schema_extra=at_position(13),
    )
    noise: float = Field(
        0.05,
        ge=0,
        le=2,
        description="Noise on what the discriminator sees at the start, in standard deviations.",
        json_schema_extra=at_position(14),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest norm of a gradient.",
        json_schema_extra=at_position(15),
    )
    success_limit: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="The discriminator waits while it calls more than this share rightly.",
        json_schema_extra=at_position(16),
    )
    spectral_norm: bool = Field(
        False,
        description="Spectral normalization of the discriminator.",
        json_schema_extra=at_position(17),
    )
    validation_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the pairs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(18),
    )
    num_validations: int = Field(
        6,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the refiner is validated.",
        json_schema_extra=at_position(19),
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Of all chance.", json_schema_extra=at_position(20)
    )


class TrainGeneratorSettings(FrozenModel):
    """A feed-forward network on crops of photographs, for the optimizer's objective."""

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
    style_weight: float = Field(
        1e6,
        ge=0,
        le=1e12,
        description="Weight of the style loss, as in optimizing.",
        json_schema_extra=at_position(7),
    )
    adversary: Literal["bce", "hinge", "least-squares"] = Field(
        "bce",
        description="The loss that both networks play for, where there is an adversary.",
        json_schema_extra=at_position(8),
    )
    adversary_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of the adversary; 0 trains without one.",
        json_schema_extra=at_position(9),
    )
    generator_learning_rate: float = Field(
        3e-3,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(10),
    )
    discriminator_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="The same.", json_schema_extra=at_position(11)
    )
    averaging: float = Field(
        0.995,
        ge=0,
        lt=1,
        description="Memory of the averaged generator, a step.",
        json_schema_extra=at_position(12),
    )
    noise: float = Field(
        0.05,
        ge=0,
        le=2,
        description="Noise on what the discriminator sees at the start, in standard deviations.",
        json_schema_extra=at_position(13),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest norm of a gradient.",
        json_schema_extra=at_position(14),
    )
    success_limit: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="The discriminator waits while it calls more than this share rightly.",
        json_schema_extra=at_position(15),
    )
    num_validation_photographs: int = Field(
        6,
        ge=1,
        le=100,
        description="Photographs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(16),
    )
    num_validations: int = Field(
        10,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the generator is validated.",
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
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Of all chance.", json_schema_extra=at_position(19)
    )
