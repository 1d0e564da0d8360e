"""Votes are counted for the run that was shown, and only where they belong."""

import json

import pytest

from stylecore.batch.votes import (
    Vote,
    VoteCount,
    VoteFile,
    comparison_id,
    count_votes,
    pair_id,
    parse_votes,
    shows_a_left,
)
from stylecore.errors import JobError

COMPARISON = comparison_id("0123", "4567")
PAIRS = [pair_id(COMPARISON, str(n), f"/in/{n}.jpg", "wave") for n in range(200)]


def votes(*choices: tuple[str, str], comparison: str = COMPARISON) -> VoteFile:
    lines = tuple(Vote(pair=pair, choice=choice) for pair, choice in choices)
    return VoteFile(comparison=comparison, votes=lines)


def test_a_vote_counts_for_the_run_whose_picture_was_on_that_side():
    of_a = [(pair, "left" if shows_a_left(COMPARISON, pair) else "right") for pair in PAIRS[:5]]
    of_b = [(pair, "right" if shows_a_left(COMPARISON, pair) else "left") for pair in PAIRS[5:8]]
    same = [(PAIRS[8], "same")]
    count = count_votes({"v": votes(*of_a, *of_b, *same)}, COMPARISON, PAIRS)
    assert count == VoteCount(a=5, b=3, same=1)
    assert count.decided == 8


def test_votes_of_several_people_add_up():
    one, other = votes((PAIRS[0], "same")), votes((PAIRS[0], "same"), (PAIRS[1], "left"))
    count = count_votes({"one": one, "other": other}, COMPARISON, PAIRS)
    assert (count.same, count.decided) == (2, 1)


def test_the_first_run_is_on_the_left_in_about_half_of_the_pairs_and_always_the_same_ones():
    sides = [shows_a_left(COMPARISON, pair) for pair in PAIRS]
    assert 75 < sum(sides) < 125
    assert sides == [shows_a_left(COMPARISON, pair) for pair in PAIRS]
    assert sides != [shows_a_left(comparison_id("4567", "0123"), pair) for pair in PAIRS]


def test_votes_on_swapped_runs_are_refused_with_what_to_do():
    swapped = comparison_id("4567", "0123")
    with pytest.raises(JobError, match=r"mine.json: .* another comparison .* order"):
        count_votes({"mine.json": votes()}, swapped, PAIRS)


def test_a_vote_on_a_pair_that_there_is_not_is_refused():
    with pytest.raises(JobError, match="v: there is no pair 0000"):
        count_votes({"v": votes(("0000", "left"))}, COMPARISON, PAIRS)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[]", b"{}", b'{"comparison": "a", "votes": [{"pair": "b"}]}'],
)
def test_what_is_no_file_of_votes_is_told_as_such(data: bytes):
    with pytest.raises(JobError, match="mine.json: not a file of votes"):
        parse_votes(data, "mine.json")


def test_a_choice_that_there_is_not_is_refused():
    line = {"pair": "b", "choice": "both"}
    with pytest.raises(JobError, match="'left', 'right' or 'same'"):
        parse_votes(json.dumps({"comparison": "a", "votes": [line]}).encode(), "mine.json")


def test_two_votes_of_one_file_on_one_pair_are_refused():
    file = votes((PAIRS[0], "left"), (PAIRS[0], "right"))
    with pytest.raises(JobError, match=f"twice on pair {PAIRS[0]}"):
        parse_votes(file.model_dump_json().encode(), "mine.json")


def test_what_the_page_saves_can_be_read():
    file = votes((PAIRS[0], "left"), (PAIRS[1], "same"))
    assert parse_votes(file.model_dump_json().encode(), "mine.json") == file
