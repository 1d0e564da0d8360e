"""Blind votes on pairs of pictures: which side shows which run, and what the votes come to.

The page of a comparison does not know which side is which: that follows from the ids of the
comparison and of the pair alone, so that votes can be read with nothing but the two runs at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ValidationError

from stylecore.errors import JobError
from stylecore.settings import FrozenModel

Choice = Literal["left", "right", "same"]
_ID_LENGTH: Final = 12


class Vote(FrozenModel):
    """What a person picked of one pair."""

    pair: str
    choice: Choice


class VoteFile(FrozenModel):
    """``votes.json``, as the page saves it."""

    comparison: str
    votes: tuple[Vote, ...]


@dataclass(frozen=True)
class VoteCount:
    """Votes of any number of files: for the first run, for the second, for neither."""

    a: int
    b: int
    same: int

    @property
    def decided(self) -> int:
        """Votes that prefer one of the two."""
        return self.a + self.b


def comparison_id(run_a_id: str, run_b_id: str) -> str:
    """The id of comparing two runs, in this order."""
    return _digest("comparison", run_a_id, run_b_id)


def pair_id(comparison: str, row_id: str, content_uri: str, style: str) -> str:
    """The id of a pair, from what the first run calls it; it tells nothing of the sides."""
    return _digest("pair", comparison, row_id, content_uri, style)


def shows_a_left(comparison: str, pair: str) -> bool:
    """Whether the left picture is the first run's: for half of the pairs, by chance."""
    return int(_digest("left", comparison, pair), 16) % 2 == 0


def parse_votes(data: bytes, uri: str) -> VoteFile:
    """Read a file of votes.

    Args:
        data: the file.
        uri: where it came from; for messages.

    Raises:
        JobError: it is no such file, or votes twice on a pair.
    """
    try:
        votes = VoteFile.model_validate(json.loads(data))
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise JobError(
            f"{uri}: not a file of votes ({reason}). The page of a comparison saves one with its "
            "button."
        ) from error
    pairs = [vote.pair for vote in votes.votes]
    repeated = next((pair for pair in pairs if pairs.count(pair) > 1), None)
    if repeated is not None:
        raise JobError(f"{uri}: votes twice on pair {repeated}: keep one of the two")
    return votes


def count_votes(files: Mapping[str, VoteFile], comparison: str, pairs: Container[str]) -> VoteCount:
    """Sum up files of votes.

    Args:
        files: by where they came from.
        comparison: of the two runs, in their order.
        pairs: the ids that there are.

    Raises:
        JobError: a file belongs to another comparison, or names an unknown pair.
    """
    chosen: list[str] = []
    for uri, file in files.items():
        if file.comparison != comparison:
            raise JobError(
                f"{uri}: these votes are on another comparison ({file.comparison}, and this is "
                f"{comparison}). Name the two runs in the order in which they were compared."
            )
        unknown = next((vote.pair for vote in file.votes if vote.pair not in pairs), None)
        if unknown is not None:
            raise JobError(f"{uri}: there is no pair {unknown} in this comparison")
        chosen += [_run_of(comparison, vote) for vote in file.votes]
    return VoteCount(chosen.count("a"), chosen.count("b"), chosen.count("same"))


def _run_of(comparison: str, vote: Vote) -> str:
    if vote.choice == "same":
        return "same"
    is_left = vote.choice == "left"
    return "a" if is_left == shows_a_left(comparison, vote.pair) else "b"


def _digest(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:_ID_LENGTH]
