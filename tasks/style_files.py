"""A style as a job names it, and as its files make it: paintings, their shares and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import zip_longest

from stylecore.batch.fingerprint import Style, StyleSources, digest_of, to_shares
from stylecore.config import StyleSource, StylizeJob
from stylecore.errors import JobError, StyleUnknownError
from stylecore.images.codec import decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.masks import decode_mask
from stylecore.stylizer.protocol import StylePainting


def style_sources(job: StylizeJob) -> list[StyleSources]:
    """The job's styles: each by itself, or all as one in a blend, in regions or in a cascade."""
    if job.generator is not None and not job.styles:
        return [((job.generator.uri,), (1.0,))]  # the only style that the generator has
    is_one = job.cascade or job.regions or any(style.weight for style in job.styles)
    if is_one and job.styles:
        return [style_source(job.styles)]
    return list(dict.fromkeys(style_source([style]) for style in job.styles))


def is_painted(job: StylizeJob, style: Style) -> bool:
    """Whether a style's files are paintings, and not the generator that has no other style."""
    return job.generator is None or style.uris != (job.generator.uri,)


def check_known(
    job: StylizeJob, style: Style, files: Sequence[bytes], generator: bytes | None
) -> None:
    """Refuse a style that the job's generator was not trained for, or that cannot be polished.

    Where the generator takes any painting, one has to be named.

    Args:
        job: which may have a generator.
        style: of the job or of a row.
        files: of its paintings.
        generator: the file, where there is one.

    Raises:
        StyleUnknownError: it was not, there is none, or it is to be polished towards none.
        JobError: the file is no generator.
    """
    if job.generator is None or generator is None:
        return
    from stylecore.generate.cards import ArbitraryCard
    from stylecore.generate.files import place_styles  # brings torch
    from stylecore.generate.loading import read_network_card

    card = read_network_card(generator, f"generator: {job.generator.uri}")
    painted = files if is_painted(job, style) else []
    if not isinstance(card, ArbitraryCard):
        place_styles(card, style.uri, [str(_digest_of_file(data)) for data in painted])
    elif not painted:
        reason = "the generator takes any painting, and none is named: name one"
        raise StyleUnknownError(style.uri, reason)
    if job.then is not None and not painted:
        raise StyleUnknownError(
            style.uri,
            "then: the optimizer goes on towards a painting, and none is named: name the "
            "generator's, or leave then out (a translator has none)",
        )


def style_source(styles: Sequence[StyleSource]) -> StyleSources:
    """Paintings of a job as one style."""
    uris = tuple(style.uri for style in styles)
    shares = to_shares([style.weight or 1.0 for style in styles])
    masks = tuple(style.mask_uri for style in styles)
    return (uris, shares, masks) if any(masks) else (uris, shares)


def read_style_files(
    style: Style, read: Callable[[str], bytes]
) -> tuple[list[bytes], list[bytes | None]]:
    """The files of a style's paintings, and of their masks where there are any."""
    masks = [None if uri is None else read(uri) for uri in style.masks]
    return [read(uri) for uri in style.uris], masks


def style_digest(
    images: Sequence[bytes], shares: Sequence[float], masks: Sequence[bytes | None] = ()
) -> str:
    """Digest of a style.

    Args:
        images: files of the paintings.
        shares: of the paintings, as ``to_shares`` makes them.
        masks: files of the paintings' masks, where there are any; left out where there are none,
            so that such styles have the digest that they always had.
    """
    parts: list[object] = [list(map(_digest_of_file, images)), list(shares)]
    return digest_of([*parts, list(map(_digest_of_file, masks))] if any(masks) else parts)


def _digest_of_file(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def decode_style(
    style: Style, files: Sequence[bytes], masks: Sequence[bytes | None], limits: DecodeLimits
) -> list[StylePainting]:
    """The paintings of a style, each with its share, and with its mask where it has one.

    Args:
        style: URIs, for messages, and shares.
        files: of the paintings.
        masks: of the paintings' masks; may be empty.
        limits: what to refuse before decoding.

    Raises:
        RowError: a painting or a mask cannot be read, or they differ in size.
        JobError: a mask leaves nothing of its painting.
    """
    paintings = []
    each = zip_longest(style.uris, files, style.weights, style.masks, masks)
    for uri, data, share, mask_uri, mask_data in each:
        pixels, mask = decode_image(data, uri, limits), None
        if mask_data is not None:
            mask = decode_mask(mask_data, str(mask_uri), limits, pixels.shape[:2], "painting")
            if not mask.any():
                reason = "it is black all over: nothing of the painting is left"
                raise JobError(f"style mask: {mask_uri}: {reason}")
        digest = hashlib.sha256(data).hexdigest()
        paintings.append(StylePainting(pixels, share, mask, digest))
    return paintings
