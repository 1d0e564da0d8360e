"""What is wanted against what is registered: which things to create, change and remove."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

Kind = Literal["work pool", "deployment", "schedule", "concurrency limit", "automation"]
Verb = Literal["created", "changed", "removed", "unchanged"]
_VERB_WIDTH: Final = len("unchanged")
# Switches are set when a thing is created; whoever switches it off later means it.
_SWITCHES: Final = frozenset(("paused", "active", "enabled"))


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a Prefect server keeps.

    Attributes:
        kind: what it is.
        name: of it, unique among the wanted ones of its kind.
        fields: what is said about it, by the names of the server's API.
        owner: the deployment that a schedule or a trigger belongs to.
        id: the server's, where it is registered.
        note: what else a person wants to read of it.
    """

    kind: Kind
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    id: UUID | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one thing.

    Attributes:
        verb: in a word.
        thing: as it is wanted; a removed one as it is registered.
        id: the server's, where it is registered.
        fields: names of those that differ.
    """

    verb: Verb
    thing: Thing
    id: UUID | None = None
    fields: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The change as a person reads it."""
        which = f" ({', '.join(self.fields)})" if self.fields else ""
        note = f"  {self.thing.note}" if self.thing.note and self.verb != "removed" else ""
        verb = self.verb + which
        return f"{verb:<{_VERB_WIDTH}}  {self.thing.kind} {self.thing.name}{note}"


def compare(wanted: Iterable[Thing], registered: Iterable[Thing]) -> list[Change]:
    """Every wanted thing in its order, then what is registered and not wanted.

    Args:
        wanted: the things that there shall be.
        registered: those of ours that there are; several of one kind and name are possible, and
            one of them stays.
    """
    found: dict[tuple[str, str], list[Thing]] = defaultdict(list)
    for thing in registered:
        found[thing.kind, thing.name].append(thing)
    changes = []
    for thing in wanted:
        same = found[thing.kind, thing.name]
        changes.append(_compare(thing, same.pop(0)) if same else Change("created", thing))
    left = [thing for things in found.values() for thing in things]
    return changes + [Change("removed", thing, thing.id) for thing in left]


def _compare(wanted: Thing, registered: Thing) -> Change:
    differing = tuple(
        name
        for name, value in wanted.fields.items()
        if name not in _SWITCHES and registered.fields.get(name) != value
    )
    return Change("changed" if differing else "unchanged", wanted, registered.id, differing)
