import pytest
from reliability import merge

PAGE = """# Page

<!-- table: begin -->
| fault | what happens | figure | shown by |
|---|---|---|---|
| one | old | 1 s | `tests/test_a.py::test_x` |
| two | old | 2 s | `tests/test_a.py::test_x` |
| three | old | 3 s | `tests/test_b.py::test_y` |
<!-- table: end -->
The end.
"""


def test_a_tests_lines_replace_its_old_ones_and_others_stay() -> None:
    page = merge(PAGE, ["| one | new | 9 s | `tests/test_a.py::test_x` |"])
    table = page.partition("begin -->\n")[2].partition("\n<!--")[0].splitlines()[2:]
    assert table == [
        "| one | new | 9 s | `tests/test_a.py::test_x` |",
        "| three | old | 3 s | `tests/test_b.py::test_y` |",
    ]
    assert page.startswith("# Page\n")
    assert page.endswith("The end.\n")


def test_merging_nothing_changes_nothing() -> None:
    again = merge(PAGE, [])
    assert sorted(again.splitlines()) == sorted(PAGE.splitlines())
    assert merge(again, []) == again


def test_a_page_without_a_place_is_no_page() -> None:
    with pytest.raises(AssertionError):
        merge("# Page", [])
