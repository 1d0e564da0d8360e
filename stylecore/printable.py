"""Text from strangers, as it may stand in logs, tables and terminals."""

from __future__ import annotations

import unicodedata
from typing import Final

# Control and format characters, and what is no character: escape codes, bidirectional overrides,
# line separators and lone surrogates would forge or break what they stand in.
_INVISIBLE: Final = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))


def printable(text: str, *, keeps_lines: bool = False) -> str:
    r"""``text`` with every invisible character but the space written as ``\uXXXX``.

    Args:
        text: anything.
        keeps_lines: whether newlines stay, in messages of ours that have several lines.
    """
    if text.isprintable():
        return text
    kept = "\n" if keeps_lines else ""
    return "".join(char if char in kept else _visible(char) for char in text)


def _visible(character: str) -> str:
    is_invisible = unicodedata.category(character) in _INVISIBLE
    return f"\\u{ord(character):04x}" if is_invisible else character
