"""Text that is not ours, for Markdown that the dashboard draws."""

from __future__ import annotations

import re

from stylecore.batch.report import show_text


def plain(text: str) -> str:
    """One line that Markdown shows as it is, also in a table; invisible characters as codes.

    It is a code span: images in it are not fetched, markup does nothing, and addresses do not
    become links, which they do elsewhere even with backslashes before them.
    """
    shown = str(show_text(" ".join(text.split()))).replace("|", "\\u007c")
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{shown}{space}{fence}" if shown else ""
