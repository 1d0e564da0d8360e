"""The table of docs/reliability.md, written by the tests that provoke the faults.

A test tells what it saw through the fixture ``seen``. With ``--reliability FILE`` the lines of the
tests that passed replace those of the same test in the file, between its two markers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

_NAME: Final = "reliability"
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"
_HEAD: Final = ("| fault | what happens | figure | shown by |", "|---|---|---|---|")
_SHOWN_BY: Final = re.compile(r"\| `([^`]+)` \|$")
See = Callable[[str, str, str], None]


def see_with(item: pytest.Item) -> See:
    """What a test calls with a fault, what happened, and a time or figure that it measured."""

    def see(fault: str, behaviour: str, figure: str) -> None:
        item.user_properties.append((_NAME, (fault, behaviour, figure)))

    return see


def lines_of(reports: Iterable[pytest.TestReport]) -> list[str]:
    """The table's lines of some tests."""
    found = []
    for report in reports:
        test = report.nodeid.partition("[")[0]
        rows = [value for name, value in report.user_properties if name == _NAME]
        found += [f"| {' | '.join(row)} | `{test}` |" for row in rows]
    return found


def merge(page: str, lines: Iterable[str]) -> str:
    """A page whose table has these lines, and its own of other tests, ordered by test and fault."""
    head, begin, rest = page.partition(_BEGIN)
    old, end, tail = rest.partition(_END)
    assert end, f"the page has no place for the table: {begin or _BEGIN} to {_END}"
    new = list(lines)
    renewed = {_test(line) for line in new}
    kept = [line for line in old.splitlines() if _test(line) and _test(line) not in renewed]
    table = "\n".join((*_HEAD, *sorted((*kept, *new), key=lambda line: (_test(line), line))))
    return f"{head}{_BEGIN}\n{table}\n{_END}{tail}"


def _test(line: str) -> str:
    found = _SHOWN_BY.search(line)
    return found[1] if found else ""


def write(path: Path, reports: Iterable[pytest.TestReport]) -> None:
    """Put what the tests saw into a page."""
    path.write_text(merge(path.read_text(encoding="utf-8"), lines_of(reports)), encoding="utf-8")
