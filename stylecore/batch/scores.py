"""Measures of the pictures of a run: what they are called and mean, and their Parquet columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from stylecore.batch.parquet import decode_table, encode_table


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is called, which way is better, and what it says."""

    label: str
    better: Literal["lower", "higher"]
    about: str


MEASURES: Final[Mapping[str, Measure]] = {
    "content_loss": Measure("content", "lower", "Content loss of the objective, not weighted."),
    "style_loss": Measure("style", "lower", "Style loss of the objective, not weighted."),
    "total_loss": Measure("total", "lower", "The objective that the picture was made for."),
    "lpips_content": Measure(
        "LPIPS", "lower", "Perceptual distance from the photograph (VGG-16, v0.1)."
    ),
    "ssim_content": Measure("SSIM", "higher", "Structural similarity to the photograph."),
    "psnr_content": Measure("PSNR", "higher", "Peak signal-to-noise ratio to the photograph, dB."),
    "fdrl": Measure(
        "fdRL",
        "lower",
        "Texture: Fréchet distance from the painting on a fixed random network, standardized "
        "luminance, in units of the painting's variance.",
    ),
    "swdl": Measure(
        "swdL",
        "lower",
        "Texture: sliced Wasserstein distance from the painting's 7 x 7 Laplacian patches, "
        "standardized luminance, in units of the painting's spread. No method optimizes it.",
    ),
}
SET_MEASURES: Final[Mapping[str, Measure]] = {
    "fd_vgg": Measure(
        "FD-VGG",
        "lower",
        "Of the set: Fréchet distance from the painting on all positions of VGG-16's relu3_3, in "
        "units of the painting's variance. Not the FID.",
    ),
    "art_fd": Measure(
        "ArtFD",
        "lower",
        "Of the set: (1 + mean LPIPS) x (1 + FD-VGG). Made like ArtFID, with other networks: "
        "not comparable with published values of that.",
    ),
}


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """The measures of one made picture; null where not defined, or with the code of the reason."""

    row_id: str
    content_uri: str
    style: str
    output_uri: str
    output_sha256: str | None = None
    content_loss: float | None = None
    style_loss: float | None = None
    total_loss: float | None = None
    lpips_content: float | None = None
    ssim_content: float | None = None
    psnr_content: float | None = None
    fdrl: float | None = None
    swdl: float | None = None
    error_code: str | None = None


_FIELDS: Final[list[pa.Field[Any]]] = [
    pa.field("row_id", pa.string(), nullable=False),
    pa.field("content_uri", pa.string(), nullable=False),
    pa.field("style", pa.string(), nullable=False),
    pa.field("output_uri", pa.string(), nullable=False),
    pa.field("output_sha256", pa.string()),
    *(pa.field(name, pa.float64()) for name in MEASURES),
    pa.field("error_code", pa.string()),
]
SCORE_SCHEMA: Final = pa.schema(_FIELDS)


def encode_scores(lines: Sequence[ScoreLine]) -> bytes:
    """A Parquet file with one line for each picture."""
    table = pa.Table.from_pylist([asdict(line) for line in lines], schema=SCORE_SCHEMA)
    return encode_table(table)


def decode_scores(data: bytes) -> Iterator[ScoreLine]:
    """The lines of such a file, in its order; measures of other versions are left out or null."""
    own = set(SCORE_SCHEMA.names)
    for line in decode_table(data).to_pylist():
        yield ScoreLine(**{name: value for name, value in line.items() if name in own})
