"""Names that say what is in them: run ids, fingerprints, style names.

A picture's fingerprint is in its file name, so that "skip what exists" is right, a changed setting
makes a new picture, and equal stems never collide (docs/adr/0004).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stylecore.batch.uris import join_uri, safe_stem

# Raise it when the same settings start to make other pixels.
ALGORITHM_VERSION: Final = 1
# Six tell most styles apart; of ten thousand paintings called alike, some share even these.
_DIGEST_DIGITS: Final = (6, 12, 64)
_SUFFIXES: Final = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


# URIs of the paintings and their shares; where there are masks, also theirs.
StyleSources = (
    tuple[tuple[str, ...], tuple[float, ...]]
    | tuple[tuple[str, ...], tuple[float, ...], tuple[str | None, ...]]
)


@dataclass(frozen=True, slots=True)
class Style:
    """One painting, or several together; ``name`` is its folder under ``images/``.

    ``masks`` say which part of each painting counts, null being all of it; empty: all of all.
    """

    name: str
    uris: tuple[str, ...]
    weights: tuple[float, ...]
    masks: tuple[str | None, ...] = ()

    @property
    def uri(self) -> str:
        """What results show: the painting's URI, or a blend's, joined by " + "."""
        return " + ".join(self.uris)


def digest_of(value: object) -> str:
    """SHA-256, in hex, of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights of a blend, which count relative to each other, as shares of one."""
    total = sum(weights)
    return tuple(round(weight / total, 9) for weight in weights)


def make_run_id(
    manifest_digest: str, settings: Mapping[str, Any], styles: Sequence[Any], run_key: str
) -> str:
    """The run's name: the same request on the same bytes has the same one.

    Args:
        manifest_digest: of the manifest's bytes, or of the listing.
        settings: those that change pixels or decide which rows are refused, the digest of the
            weights, and how the manifest is read.
        styles: URIs, shares and content digest of each of the job's styles.
        run_key: the user's own word for "again".

    Returns:
        16 hexadecimal digits.
    """
    return digest_of([ALGORITHM_VERSION, manifest_digest, settings, styles, run_key])[:16]


def fingerprint(
    content_version: str,
    style_digest: str,
    settings: Mapping[str, Any],
    inputs_digest: str,
    mask_versions: Sequence[str] = (),
) -> str:
    """SHA-256 over everything that changes a picture's pixels.

    Args:
        content_version: the store's version of the photograph (ETag, or SHA-256 of local bytes).
        style_digest: of the paintings' bytes and weights.
        settings: ``pixel_settings`` of the job.
        inputs_digest: of the network's weights and of a picture to start from.
        mask_versions: as ``content_version``, of the row's masks; empty for one that is everywhere.
    """
    parts = [ALGORITHM_VERSION, content_version, style_digest, settings, inputs_digest]
    # Left out where there are none, so that such pictures are called what they always were.
    return digest_of([*parts, list(mask_versions)] if mask_versions else parts)


def output_name(content_uri: str, picture_fingerprint: str, image_format: str) -> str:
    """``<safe stem>-<fingerprint12>.<suffix>``: nothing in it comes unfiltered from a manifest."""
    return f"{safe_stem(content_uri)}-{picture_fingerprint[:12]}{_SUFFIXES[image_format]}"


def style_folder(output_uri: str, style_name: str) -> str:
    """Where the pictures of one style are."""
    return join_uri(output_uri, "images", style_name)


def name_styles(sources: Sequence[StyleSources]) -> list[Style]:
    """Give every style its folder name: safe stems, told apart by a digest where they are equal."""
    stems = ["-and-".join(map(_stem, uris))[:100] for uris, *_ in sources]
    names = stems
    for digits in _DIGEST_DIGITS:
        uses = Counter(name.casefold() for name in names)  # some file systems know no case
        names = [
            f"{stem}-{digest_of(source)[:digits]}" if uses[name.casefold()] > 1 else name
            for name, stem, source in zip(names, stems, sources, strict=True)
        ]
    return [Style(name, *source) for name, source in zip(names, sources, strict=True)]


def _stem(uri: str) -> str:
    """Of a painting its name; of a generator, which is always called so, that of its folder."""
    return safe_stem(uri.removesuffix("/generator.safetensors"))
