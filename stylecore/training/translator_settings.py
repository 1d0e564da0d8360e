"""Settings of training a translator. Without torch: checked before torch is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stylecore.settings import FrozenModel, at_position


class TrainTranslatorSettings(FrozenModel):
    """One network on crops of two kinds of pictures, of which no two belong together."""

    num_steps: int = Field(
        20_000,
        ge=1,
        le=10_000_000,
        description="Steps of the alternation.",
        json_schema_extra=at_position(0),
    )
    batch_size: int = Field(
        1, ge=1, le=256, description="Crops of each kind a step.", json_schema_extra=at_position(1)
    )
    crop_px: int = Field(
        128,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Side of the square crops; smaller pictures are extended by reflection.",
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
    adversary: Literal["bce", "hinge", "least-squares"] = Field(
        "least-squares",
        description="The loss that both networks play for.",
        json_schema_extra=at_position(5),
    )
    adversary_weight: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Weight of the adversary: of being like the other kind.",
        json_schema_extra=at_position(6),
    )
    adversary_view: Literal["features", "colors"] = Field(
        "features",
        description="What the adversary looks at: early features of VGG-16, by which it learns "
        "from few examples, or the colors of the pixels themselves.",
        json_schema_extra=at_position(7),
    )
    feature_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Weight of matching the adversary's own features, in mean and deviation.",
        json_schema_extra=at_position(8),
    )
    contrast_weight: float = Field(
        0.4,
        ge=0,
        le=100,
        description="Weight of staying like the photograph, patch by patch (PatchNCE).",
        json_schema_extra=at_position(9),
    )
    identity_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of leaving pictures alone that are of the other kind already; "
        "0 saves a third of the time.",
        json_schema_extra=at_position(10),
    )
    num_patches: int = Field(
        256,
        ge=2,
        le=4096,
        description="Patches of a crop that are told apart, in each layer.",
        json_schema_extra=at_position(11),
    )
    generator_learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(12),
    )
    discriminator_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="The same.", json_schema_extra=at_position(13)
    )
    averaging: float = Field(
        0.995,
        ge=0,
        lt=1,
        description="Memory of the averaged generator, a step.",
        json_schema_extra=at_position(14),
    )
    noise: float = Field(
        0.05,
        ge=0,
        le=2,
        description="Noise on what the discriminator sees at the start, in standard deviations.",
        json_schema_extra=at_position(15),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest norm of a gradient.",
        json_schema_extra=at_position(16),
    )
    success_limit: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="The discriminator waits while it calls more than this share rightly.",
        json_schema_extra=at_position(17),
    )
    num_validation_photographs: int = Field(
        6,
        ge=1,
        le=100,
        description="Photographs kept from training, on which the best weights are chosen.",
        json_schema_extra=at_position(18),
    )
    num_validations: int = Field(
        10,
        ge=1,
        le=1000,
        description="How many times, evenly spaced, the translator is validated.",
        json_schema_extra=at_position(19),
    )
    max_pictures: int = Field(
        2000,
        ge=2,
        le=100_000,
        description="How many pictures of each kind to train on at most: each takes half a "
        "megabyte of memory at 512 px.",
        json_schema_extra=at_position(20),
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="Of all chance.", json_schema_extra=at_position(21)
    )
