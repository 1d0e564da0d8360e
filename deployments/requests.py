"""From words on the command line and ``job.yaml`` to a ``StylizeJob``; what is wrong, in words."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.yaml_text import YamlError, load_yaml

_ERRORS_SHOWN: Final = 6
_MAX_JOB_CHARS: Final = 4 * 2**20
# What is missing was not given; what is unknown may be a secret that does not belong there.
_SAY_NOTHING: Final = ("missing", "extra_forbidden")
_NAMED_BY_URI: Final = ("generator", "refine")  # a URI alone stands for settings with it
Request = TypeVar("Request", bound=BaseModel)


def build_job(
    job_file: Path | None, options: Mapping[str, Any], assignments: Sequence[str]
) -> StylizeJob:
    """Resolve the request of a run: preset < ``job.yaml`` < options < ``--set``.

    Args and errors are those of ``build_request``.
    """
    return build_request(StylizeJob, job_file, options, assignments)


def build_request(
    kind: type[Request],
    job_file: Path | None,
    options: Mapping[str, Any],
    assignments: Sequence[str],
) -> Request:
    """Resolve a request: ``job.yaml`` < options < ``--set``.

    Args:
        kind: what is requested.
        job_file: YAML with its fields, or None.
        options: fields given as options; None and empty sequences mean not given.
        assignments: ``dotted.path=value``, the value as YAML.

    Raises:
        JobError: naming the field, what was given, and what is accepted.
    """
    raw = read_job_file(job_file) if job_file else {}
    raw |= {name: value for name, value in options.items() if value not in (None, (), [])}
    for assignment in assignments:
        _assign(raw, assignment)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise JobError(_describe(error, str(job_file) if job_file else "request")) from error


def read_job_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        JobError: no such file, no YAML, or no mapping.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_JOB_CHARS + 1)
        if len(text) > _MAX_JOB_CHARS:
            raise JobError(f"{path}: longer than {_MAX_JOB_CHARS} characters: this is no job file")
        raw = load_yaml(text)
    except YamlError as error:
        raise JobError(f"{path}: not valid YAML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: cannot read the job file: {error}") from error
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise JobError(f"{path}: a job file is a mapping such as `manifest_uri: s3://bucket/m.csv`")
    return raw


def new_run_key() -> str:
    """A key that no run had before: now, in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _assign(raw: dict[str, Any], assignment: str) -> None:
    path, separator, text = assignment.partition("=")
    if not separator or not path:
        raise JobError(f"--set {assignment}: write PATH=VALUE, such as optimize.tv_weight=0.1")
    try:
        value = load_yaml(text)
    except YamlError as error:
        raise JobError(f"--set {assignment}: the value is not valid YAML") from error
    *folders, name = path.split(".")
    target = raw
    for folder in folders:
        inner = target.get(folder) or {}
        if folder in _NAMED_BY_URI and isinstance(inner, str):
            inner = {"uri": inner}
        if not isinstance(inner, Mapping):
            raise JobError(f"--set {assignment}: {folder} has no fields")
        target[folder] = target = dict(inner)
    target[name] = value


def _describe(error: ValidationError, where: str) -> str:
    lines = []
    for detail in error.errors()[:_ERRORS_SHOWN]:
        path = ".".join(str(part) for part in detail["loc"]) or "job"
        given = "" if detail["type"] in _SAY_NOTHING else f" (given: {_given(detail['input'])})"
        lines.append(f"{path}: {_message(detail)}{given}")
    more = error.error_count() - _ERRORS_SHOWN
    if more > 0:
        lines.append(f"and {more} more")
    return f"{where}: " + "\n  ".join(lines)


def _given(value: object) -> str:
    """What was given, in short: aliases in YAML can make it longer than any memory."""
    return repr((value if isinstance(value, str) else reprlib.repr(value))[:80])


def _message(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such setting"
    if detail["type"] == "missing":
        return "is required"
    return str(detail["msg"]).removeprefix("Value error, ")
