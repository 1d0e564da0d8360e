"""Errors of rows between processes."""

import pickle
from collections.abc import Iterator

import pytest

from stylecore.batch.faults import ChangedObjectError, WrongClockError
from stylecore.errors import ImageDecodeError, RowError


def kinds(kind: type[RowError]) -> Iterator[type[RowError]]:
    """All errors of rows that can be raised."""
    for one in kind.__subclasses__():
        yield one
        yield from kinds(one)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in kinds(RowError)
        if kind.__module__ == RowError.__module__ and hasattr(kind, "code")
    ],
)
def test_an_error_of_a_row_says_the_same_in_another_process(kind: type[RowError]) -> None:
    there = pickle.loads(pickle.dumps(kind("s3://bucket/a.jpg", "reason")))
    assert (type(there), str(there)) == (kind, "s3://bucket/a.jpg: reason")
    assert (there.code, there.uri, there.reason) == (kind.code, "s3://bucket/a.jpg", "reason")


def test_so_does_one_with_a_code_of_its_own() -> None:
    there = pickle.loads(pickle.dumps(ImageDecodeError("a.jpg", "corrupt", "why")))
    assert (there.code, str(there)) == ("corrupt", "a.jpg: cannot decode image: why")


@pytest.mark.parametrize("kind", [WrongClockError, ChangedObjectError])
def test_so_does_one_whose_reason_is_always_the_same(kind: type[WrongClockError]) -> None:
    here = kind("s3://bucket/a.jpg")
    there = pickle.loads(pickle.dumps(here))
    assert (type(there), str(there), there.reason) == (kind, str(here), here.reason)
