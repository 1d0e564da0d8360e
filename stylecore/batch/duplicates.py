"""Duplicates among millions of rows, found by digests: 16 bytes a row, and no rows in memory."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Digests = np.ndarray[Any, np.dtype[np.void]]
ALL_STYLES: Final = -1  # the style of a row that names none: it is made in all of the job's


class Keys:
    """128-bit digests of strings, 16 bytes each."""

    def __init__(self) -> None:
        self._digests = bytearray()

    def add(self, text: str) -> None:
        """Take note of one more."""
        data = text.encode("utf-8", "surrogatepass")
        self._digests += hashlib.blake2b(data, digest_size=16).digest()

    def digests(self) -> Digests:
        """All of them, in the order of ``add``."""
        return np.frombuffer(self._digests, np.dtype([("high", "<u8"), ("low", "<u8")]))


def first_uses(digests: Digests, among: Mask | None = None) -> Mask:
    """True where a digest stands for the first time, looking at ``among`` only."""
    numbers = np.arange(len(digests)) if among is None else np.flatnonzero(among)
    order = np.lexsort((numbers, digests["low"][numbers], digests["high"][numbers]))
    ranked = digests[numbers[order]]
    is_new = np.ones(len(ranked), bool)
    is_new[1:] = ranked[1:] != ranked[:-1]
    mask = np.zeros(len(digests), bool)
    mask[numbers[order[is_new]]] = True
    return mask


def first_pictures(contents: Digests, own_style: np.ndarray[Any, Any], job_styles: int) -> Mask:
    """Rows whose pictures no earlier row makes.

    A row that names one of the job's styles gives way to a row of the same photograph in all of
    them, wherever that stands.
    """
    pictures = contents.copy()
    pictures["low"] ^= (own_style + 1).astype(np.uint64)
    kept = first_uses(pictures)
    in_all = contents[kept & (own_style == ALL_STYLES)]
    rows = np.flatnonzero(kept & (own_style >= 0) & (own_style < job_styles))
    kept[rows] = ~(
        np.isin(contents["low"][rows], in_all["low"])
        & np.isin(contents["high"][rows], in_all["high"])
    )
    return kept
