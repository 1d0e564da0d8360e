"""Text that is not ours, for Markdown that the dashboard draws."""

from __future__ import annotations

import re
from typing import Final

from stylecore.batch.report import show_text

# Images would be fetched, and links followed, that a manifest or an upload brought; bare
# addresses become links too. A backslash makes each of these the character that it is.
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>|~&:@.]")


def plain(text: str) -> str:
    """One line that Markdown shows as it is, also in a table; invisible characters as codes."""
    shown = str(show_text(" ".join(text.split())))
    return _SPECIAL.sub(r"\\\g<0>", shown)
