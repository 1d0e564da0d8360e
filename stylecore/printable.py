"""Text from strangers, as it may stand in logs, tables and terminals."""

from __future__ import annotations


def printable(text: str, *, keeps_lines: bool = False) -> str:
    r"""``text`` with every invisible character but the plain space written as ``\uXXXX``.

    Escape codes, bidirectional overrides, line separators and lone surrogates would forge or break
    what they stand in.

    Args:
        text: anything.
        keeps_lines: whether newlines stay, in messages of ours that have several lines.
    """
    if text.isprintable():
        return text
    kept = "\n" if keeps_lines else ""
    return "".join(c if c.isprintable() or c in kept else f"\\u{ord(c):04x}" for c in text)
