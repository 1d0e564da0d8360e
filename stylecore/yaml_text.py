"""YAML that somebody wrote: plain values or one kind of error."""

from __future__ import annotations

import yaml

_MAX_REASON_CHARS = 300


class YamlError(ValueError):
    """The text is no YAML; the message is one line."""


def load_yaml(text: str) -> object:
    """The value in a YAML document.

    Raises:
        YamlError: it is none.
    """
    try:
        return yaml.safe_load(text)
    except Exception as error:  # of `!!int ""` and the like, PyYAML raises whatever happens inside
        reason = " ".join(str(error).split()) or type(error).__name__
        raise YamlError(reason[:_MAX_REASON_CHARS]) from error
