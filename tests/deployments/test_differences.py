"""What is wanted against what is registered, without a server."""

from typing import Any
from uuid import UUID

from deployments.differences import Change, Thing, compare

ID = UUID(int=1)
OTHER = UUID(int=2)


def limit(slots: int, id_: UUID | None = None, name: str = "gpu:a", **more: Any) -> Thing:
    return Thing("concurrency limit", name, {"limit": slots, **more}, id=id_)


def lines(changes: list[Change]) -> list[str]:
    return [change.line for change in changes]


def test_what_is_not_there_is_created_in_the_order_in_which_it_is_wanted() -> None:
    changes = compare([limit(1, name="gpu:b"), limit(2)], [])
    assert lines(changes) == [
        "created    concurrency limit gpu:b",
        "created    concurrency limit gpu:a",
    ]


def test_what_is_as_it_should_be_is_unchanged_and_keeps_its_id() -> None:
    (change,) = compare([limit(1)], [limit(1, ID)])
    assert (change.verb, change.id, change.fields) == ("unchanged", ID, ())


def test_a_change_names_the_fields_that_differ_and_no_others() -> None:
    (change,) = compare([limit(2, decay=1.0, note="")], [limit(1, ID, decay=0.0, note="")])
    assert change.line == "changed (limit, decay)  concurrency limit gpu:a"
    assert change.id == ID


def test_what_a_person_switched_off_stays_off() -> None:
    wanted = [Thing("schedule", "nightly", {"active": True, "paused": False, "enabled": True})]
    registered = [Thing("schedule", "nightly", {"active": False, "paused": True, "enabled": False})]
    (change,) = compare(wanted, registered)
    assert change.verb == "unchanged"


def test_fields_that_only_the_server_has_are_its_own_affair() -> None:
    (change,) = compare([limit(1)], [limit(1, ID, active_slots=1)])
    assert change.verb == "unchanged"


def test_what_nobody_wants_is_removed_and_comes_last() -> None:
    changes = compare([limit(1, name="gpu:b")], [limit(1, ID)])
    assert [(change.verb, change.id) for change in changes] == [("created", None), ("removed", ID)]


def test_of_two_that_are_the_same_one_stays() -> None:
    changes = compare([limit(1)], [limit(1, ID), limit(1, OTHER)])
    assert [(change.verb, change.id) for change in changes] == [
        ("unchanged", ID),
        ("removed", OTHER),
    ]


def test_things_of_one_name_and_different_kinds_are_different_things() -> None:
    changes = compare([Thing("deployment", "a")], [Thing("automation", "a", id=ID)])
    assert [change.verb for change in changes] == ["created", "removed"]


def test_a_note_is_read_beside_the_name_as_long_as_the_thing_is_there() -> None:
    noted = Thing("concurrency limit", "gpu:a", note="4 at once", id=ID)
    assert lines(compare([noted], [])) == ["created    concurrency limit gpu:a  4 at once"]
    assert lines(compare([], [noted])) == ["removed    concurrency limit gpu:a"]
