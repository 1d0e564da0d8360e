"""Pairs: the same photograph in the same style, whatever the rows are called."""

from dataclasses import dataclass

import pytest

from stylecore.errors import JobError
from tasks.pairing import pair_up


@dataclass(frozen=True)
class Made:
    row_id: str
    content_uri: str
    style: str = "wave"


def paired(of_a: list[Made], of_b: list[Made]) -> set[tuple[Made, Made]]:
    return {(pair.a, pair.b) for pair in pair_up("0123", of_a, of_b)}


def test_the_same_photograph_is_paired_in_each_style_by_itself():
    of_a = [Made("0", "/in/a.jpg"), Made("0", "/in/a.jpg", "poppies"), Made("1", "/in/b.jpg")]
    assert paired(of_a, of_a[::-1]) == {(one, one) for one in of_a}


def test_row_numbers_of_different_manifests_pair_nothing_by_themselves():
    of_a, of_b = [Made("0", "/in/a.jpg"), Made("1", "/in/b.jpg")], [Made("0", "/in/b.jpg")]
    assert paired(of_a, of_b) == {(of_a[1], of_b[0])}
    with pytest.raises(JobError, match="no picture in common"):
        pair_up("0123", of_a[:1], of_b)


def test_photographs_that_were_moved_are_paired_by_id_and_file_name():
    one, other = Made("cat", "/in/cat.jpg"), Made("cat", "s3://there/cat.png")
    assert paired([one], [other]) == {(one, other)}


def test_no_picture_is_in_two_pairs():
    twice = [Made("0", "/in/a.jpg"), Made("1", "/in/a.jpg")]
    single = [Made("1", "/in/a.jpg")]
    assert paired(twice, single) == {(twice[1], single[0])}
    assert paired(single, twice) == {(single[0], twice[1])}


def test_the_order_of_pairs_does_not_depend_on_that_of_rows_and_ids_are_the_same_each_time():
    rows = [Made(str(number), f"/in/{number}.jpg") for number in range(20)]
    ids = [pair.id for pair in pair_up("0123", rows, rows)]
    assert ids == [pair.id for pair in pair_up("0123", rows[::-1], rows)] == sorted(set(ids))
    assert not set(ids) & {pair.id for pair in pair_up("4567", rows, rows)}
