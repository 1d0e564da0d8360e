"""What a user asks to be trained. Without torch: checked before torch is loaded."""

from __future__ import annotations

from pydantic import Field, model_validator

from stylecore.presets import Preset
from stylecore.settings import FrozenModel, at_position
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.settings import TrainGeneratorSettings, TrainRefinerSettings
from stylecore.training.translator_settings import TrainTranslatorSettings


class TrainingRequestFields(FrozenModel):
    """Where a network goes, and what it is made at, whatever is trained."""

    output_uri: str = Field(
        min_length=1,
        description="Folder for the network and all that belongs to it.",
        json_schema_extra=at_position(10),
    )
    max_side_px: int = Field(
        512,
        ge=16,
        le=8192,
        description="Longest side of the pictures to make. Strokes get the size that a painting's "
        "have at this size.",
        json_schema_extra=at_position(11),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where to compute: auto, cpu, cuda or cuda:N.",
        json_schema_extra=at_position(12),
    )
    license: str = Field(
        "",
        max_length=10_000,
        description="What the pictures that it learned from allow, for the network's card.",
        json_schema_extra=at_position(30),
    )


class TrainRefinerJob(TrainingRequestFields):
    """A refiner: for which paintings, from which pictures, to where, and how."""

    styles: tuple[str, ...] = Field(
        min_length=1,
        description="Paintings; several are taken as one style.",
        json_schema_extra=at_position(0),
    )
    content_uri: str | None = Field(
        None,
        min_length=1,
        description="Folder of photographs. They are stylized first; with pictures_uri it says "
        "which photographs of that run to learn from, and may be empty.",
        json_schema_extra=at_position(1),
    )
    pictures_uri: str | None = Field(
        None,
        min_length=1,
        description="Run whose pictures to learn from; empty: stylize the photographs first.",
        json_schema_extra=at_position(2),
    )
    preset: Preset = Field(
        "standard",
        description="How far to go in stylizing the photographs.",
        json_schema_extra=at_position(13),
    )
    training: TrainRefinerSettings = Field(
        TrainRefinerSettings(),
        description="Settings of the training.",
        json_schema_extra=at_position(20),
    )

    @model_validator(mode="after")
    def _has_something_to_learn_from(self) -> TrainRefinerJob:
        if self.content_uri is None and self.pictures_uri is None:
            raise ValueError(
                "name a folder of photographs (content_uri, --content), or a run whose pictures "
                "to learn from (pictures_uri, --pictures)"
            )
        return self


class TrainGeneratorJob(TrainingRequestFields):
    """A feed-forward generator: for which paintings, from which photographs, to where, and how."""

    styles: tuple[str, ...] = Field(
        min_length=1,
        max_length=1000,
        description="Paintings; each is a style of its own, and all share one network.",
        json_schema_extra=at_position(0),
    )
    content_uri: str = Field(
        min_length=1,
        description="Folder of photographs to learn from.",
        json_schema_extra=at_position(1),
    )
    training: TrainGeneratorSettings = Field(
        TrainGeneratorSettings(),
        description="Settings of the training.",
        json_schema_extra=at_position(20),
    )


class TrainArbitraryJob(TrainingRequestFields):
    """An arbitrary generator: from which paintings and photographs, to where, and how."""

    styles_uri: str = Field(
        min_length=1,
        description="Folder of paintings to learn from; others can be used afterwards.",
        json_schema_extra=at_position(0),
    )
    content_uri: str = Field(
        min_length=1,
        description="Folder of photographs to learn from.",
        json_schema_extra=at_position(1),
    )
    training: TrainArbitrarySettings = Field(
        TrainArbitrarySettings(),
        description="Settings of the training.",
        json_schema_extra=at_position(20),
    )

    @property
    def styles(self) -> tuple[str, ...]:
        """Paintings that are named one by one: none."""
        return ()


class TrainTranslatorJob(TrainingRequestFields):
    """A translator: from which kind of picture to which, to where, and how."""

    from_uri: str = Field(
        min_length=1,
        description="Folder of pictures such as those that will be translated: photographs.",
        json_schema_extra=at_position(0),
    )
    to_uri: str = Field(
        min_length=1,
        description="Folder of pictures such as they shall become; none belongs to one of the "
        "others.",
        json_schema_extra=at_position(1),
    )
    training: TrainTranslatorSettings = Field(
        TrainTranslatorSettings(),
        description="Settings of the training.",
        json_schema_extra=at_position(20),
    )

    @property
    def styles(self) -> tuple[str, ...]:
        """Paintings that are named one by one: none."""
        return ()


TrainingJob = TrainRefinerJob | TrainGeneratorJob | TrainArbitraryJob | TrainTranslatorJob
