"""What the files of generators say of themselves."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from stylecore.perception.digests import VGG16_SHA256
from stylecore.settings import FrozenModel

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_FLOP = 2 * 3 * 3  # of a 3 x 3 convolution, for each pair of channels and pixel
# Of VGG-16 up to relu4_1: pairs of channels by layer, as a share of the picture's pixels.
_ENCODER_FLOP: Final = _FLOP * (
    3 * 64
    + 64 * 64
    + (64 * 128 + 128 * 128) / 4
    + (128 * 256 + 2 * 256 * 256) / 16
    + 256 * 512 / 64
)


class NetworkCard(FrozenModel):
    """What a network is that makes whole pictures: how it is built, and what it learned from.

    Attributes:
        version: of stylebatch that wrote it.
        width: channels at full size.
        num_blocks: of the network.
        max_side_px: longest side of the pictures that it was trained on: strokes have the size
            that they have in a picture of this size.
        num_photographs: that were given, those kept to choose the best weights on included.
        settings: of the training.
        metrics: figures on validation photographs, by name.
        license: what the pictures that it learned from allow, in the words of who trained it.
    """

    version: str = Field(max_length=100)
    width: int = Field(24, ge=1, le=256)
    num_blocks: int = Field(4, ge=0, le=32)
    max_side_px: int = Field(512, ge=16, le=8192)
    num_photographs: int = Field(0, ge=0)
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    license: str = Field("", max_length=10_000)

    @property
    def flop_per_pixel(self) -> float:
        """Arithmetic of one pass, without a gradient."""
        full, half, quarter = self.width, 2 * self.width, 4 * self.width
        around = 2 * 3 * full + full * half / 4 + half * quarter / 16
        blocks = 2 * self.num_blocks * quarter**2 / 16
        return _FLOP * (around + blocks + quarter * half / 4 + half * full)

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of one pass, without a gradient: nine feature maps at full size."""
        return 36 * self.width


class GeneratorStyle(FrozenModel):
    """A style that a generator knows.

    Attributes:
        name: of the painting's file, without suffix.
        digest: SHA-256 of the painting's file.
    """

    name: str = Field(max_length=200)
    digest: Digest


class GeneratorCard(NetworkCard):
    """A feed-forward generator.

    Attributes:
        kind: tells it from other weights.
        styles: in the network's order.
        photographs_digest: SHA-256 over all photographs.
    """

    kind: Literal["generator"] = "generator"
    styles: tuple[GeneratorStyle, ...] = Field(min_length=1, max_length=1000)
    photographs_digest: Digest

    @property
    def num_styles(self) -> int:
        """Of the network."""
        return len(self.styles)


class TranslatorCard(NetworkCard):
    """A translator: a generator that knows no painting, but one kind of picture.

    Attributes:
        kind: tells it from other weights.
        photographs_digest: SHA-256 over all photographs.
        num_examples: of the other kind.
        examples_digest: SHA-256 over them all.
    """

    kind: Literal["translator"] = "translator"
    photographs_digest: Digest
    num_examples: int = Field(0, ge=0)
    examples_digest: Digest

    @property
    def num_styles(self) -> int:
        """Of the network."""
        return 1


class ArbitraryCard(NetworkCard):
    """An arbitrary generator's decoder.

    Attributes:
        kind: tells it from other weights.
        encoder_digest: SHA-256 of the weights of the VGG-16 that it was trained with.
        num_features: channels of the encoder's layer that it draws from.
        num_paintings: likewise.
        pictures_digest: SHA-256 over all photographs and paintings.
    """

    kind: Literal["arbitrary"] = "arbitrary"
    encoder_digest: Digest = VGG16_SHA256
    num_features: int = Field(512, ge=1, le=4096)
    width: int = Field(32, ge=1, le=256)
    num_blocks: int = Field(2, ge=0, le=32)
    num_paintings: int = Field(0, ge=0)
    pictures_digest: Digest

    @property
    def flop_per_pixel(self) -> float:
        """Arithmetic of one pass, the encoder's included."""
        full, half, quarter = self.width, 2 * self.width, 4 * self.width
        at_eighth = self.num_features * quarter / 64
        at_quarter = (self.num_blocks * quarter**2 + quarter * half) / 16
        at_half = (half**2 + half * full) / 4
        drawing = at_eighth + at_quarter + at_half + full**2 + 3 * full
        return _ENCODER_FLOP + _FLOP * drawing

    @property
    def bytes_per_pixel(self) -> float:
        """Peak memory of one pass: the encoder's, or where it is wide, the decoder's."""
        return max(620, 17 * self.width)


AnyCard = GeneratorCard | TranslatorCard
