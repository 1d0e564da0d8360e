"""Presets: fields of a job by one word, filled in where a request left them open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel

Preset = Literal["draft", "standard", "fine"]
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "draft": {"optimize": {"num_evaluations": 20}},
    "standard": {"optimize": {"num_evaluations": 60}},
    "fine": {"optimize": {"num_evaluations": 150}},
}


def fill_fields(raw: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` with missing or null values taken from ``defaults``, key by key."""
    filled = dict(raw)
    for key, default in defaults.items():
        value = raw.get(key)
        if isinstance(value, BaseModel):
            value = value.model_dump()
        if isinstance(default, Mapping) and isinstance(value, Mapping | None):
            filled[key] = fill_fields(value or {}, default)
        elif value is None:
            filled[key] = default
    return filled


def open_fields(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Null where ``values`` are the defaults: the opposite of ``fill_fields``."""
    opened = dict(values)
    for key, default in defaults.items():
        if isinstance(default, Mapping):
            opened[key] = open_fields(opened[key], default)
        elif opened[key] == default:
            opened[key] = None
    return opened
