"""Settings of training a translator. Without torch: checked before torch is loaded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stylecore.settings import at_position
from stylecore.training.shared_settings import (
    AdversaryName,
    AdversarySettings,
    FeedForwardSettings,
)


class TrainTranslatorSettings(AdversarySettings, FeedForwardSettings):
    """One network on crops of two kinds of pictures, of which no two belong together."""

    adversary: AdversaryName = Field(
        "least-squares",
        description="The loss that both networks play for.",
        json_schema_extra=at_position(10),
    )
    adversary_weight: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Weight of the adversary: of being like the other kind.",
        json_schema_extra=at_position(11),
    )
    adversary_view: Literal["features", "colors"] = Field(
        "features",
        description="What the adversary looks at: early features of VGG-16, by which it learns "
        "from few examples, or the colors of the pixels themselves.",
        json_schema_extra=at_position(12),
    )
    feature_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Weight of matching the adversary's own features, in mean and deviation.",
        json_schema_extra=at_position(13),
    )
    contrast_weight: float = Field(
        0.4,
        ge=0,
        le=100,
        description="Weight of staying like the photograph, patch by patch (PatchNCE).",
        json_schema_extra=at_position(14),
    )
    identity_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of leaving pictures alone that are of the other kind already; "
        "0 saves a third of the time.",
        json_schema_extra=at_position(15),
    )
    num_patches: int = Field(
        256,
        ge=2,
        le=4096,
        description="Patches of a crop that are told apart, in each layer.",
        json_schema_extra=at_position(16),
    )
    generator_learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1,
        description="Adam's step at its largest; it falls to nothing along a cosine.",
        json_schema_extra=at_position(40),
    )
    max_pictures: int = Field(
        2000,
        ge=2,
        le=100_000,
        description="How many pictures of each kind to train on at most: each takes half a "
        "megabyte of memory at 512 px.",
        json_schema_extra=at_position(52),
    )
