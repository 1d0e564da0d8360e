"""Which picture of one run belongs to which of another, and the votes on such pairs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from stylecore.batch.ledger import RunLedger
from stylecore.batch.uris import safe_stem
from stylecore.batch.votes import VoteCount, VoteFile, comparison_id, count_votes, pair_id
from stylecore.errors import JobError
from tasks.scoring import made_of


class Picture(Protocol):
    """What tells a picture of a run: an outcome, or a line of its scores."""

    @property
    def row_id(self) -> str: ...  # noqa: D102 - see Outcome

    @property
    def content_uri(self) -> str: ...  # noqa: D102 - see Outcome

    @property
    def style(self) -> str: ...  # noqa: D102 - see Outcome


AnyPicture = TypeVar("AnyPicture", bound=Picture)

# What two pictures have in common, the surest first. A row's id alone is not enough: without an
# id column it is a number, which means another photograph in another manifest.
_KEYS: Final[tuple[Callable[[Picture], Hashable], ...]] = (
    lambda picture: (picture.style, picture.content_uri, picture.row_id),
    lambda picture: (picture.style, picture.content_uri),
    lambda picture: (picture.style, picture.row_id, safe_stem(picture.content_uri)),
)


@dataclass(frozen=True)
class Pair(Generic[AnyPicture]):
    """The same photograph in the same style, made by both runs."""

    id: str
    a: AnyPicture
    b: AnyPicture


def name_comparison(run_a: RunLedger, run_b: RunLedger) -> str:
    """The id of comparing two runs.

    Raises:
        JobError: they are one and the same.
    """
    if run_a.run_id == run_b.run_id:
        raise JobError(
            f"{run_a.run_uri} and {run_b.run_uri} are the same run: equal jobs make equal "
            "pictures. Name two runs that differ."
        )
    return comparison_id(run_a.run_id, run_b.run_id)


def pair_up(
    comparison: str, of_a: Iterable[AnyPicture], of_b: Iterable[AnyPicture]
) -> list[Pair[AnyPicture]]:
    """Pairs of pictures, each picture in one at most, in an order that is as good as random.

    Style and photograph (by its URI, else by row id and file name) have to be the same.

    Raises:
        JobError: the runs have no picture in common.
    """
    left_a, left_b, pairs = list(of_a), list(of_b), list[Pair[AnyPicture]]()
    for key in _KEYS:
        waiting = {key(picture): picture for picture in reversed(left_b)}
        left_a, before = [], left_a
        for picture in before:
            other = waiting.pop(key(picture), None)
            if other is None:
                left_a.append(picture)
                continue
            name = pair_id(comparison, picture.row_id, picture.content_uri, picture.style)
            pairs.append(Pair(name, picture, other))
        taken = {id(pair.b) for pair in pairs}
        left_b = [picture for picture in left_b if id(picture) not in taken]
    if not pairs:
        raise JobError(
            "the runs have no picture in common: a pair is the same photograph in a style of the "
            "same name, made by both"
        )
    return sorted(pairs, key=lambda pair: pair.id)


def count_votes_on(run_a: RunLedger, run_b: RunLedger, files: Mapping[str, VoteFile]) -> VoteCount:
    """Sum up votes on the pairs of two runs.

    Raises:
        JobError: votes are on another comparison, or the runs have nothing in common.
    """
    comparison = name_comparison(run_a, run_b)
    made_a, made_b = (made_of(list(run.outcomes())) for run in (run_a, run_b))
    pairs = pair_up(comparison, made_a, made_b)
    return count_votes(files, comparison, {pair.id for pair in pairs})
