"""From words on the command line and ``job.yaml`` to a ``StylizeJob``; what is wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stylecore.config import StylizeJob
from stylecore.errors import JobError

_ERRORS_SHOWN: Final = 6
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
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: cannot read the job file: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise JobError(f"{path}: not valid YAML: {reason}") from error
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
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise JobError(f"--set {assignment}: the value is not valid YAML") from error
    *folders, name = path.split(".")
    target = raw
    for folder in folders:
        inner = target.get(folder) or {}
        if not isinstance(inner, Mapping):
            raise JobError(f"--set {assignment}: {folder} has no fields")
        target[folder] = target = dict(inner)
    target[name] = value


def _describe(error: ValidationError, where: str) -> str:
    lines = []
    for detail in error.errors()[:_ERRORS_SHOWN]:
        path = ".".join(str(part) for part in detail["loc"]) or "job"
        given = "" if detail["type"] == "missing" else f" (given: {str(detail['input'])[:80]!r})"
        lines.append(f"{path}: {_message(detail)}{given}")
    more = error.error_count() - _ERRORS_SHOWN
    if more > 0:
        lines.append(f"and {more} more")
    return f"{where}: " + "\n  ".join(lines)


def _message(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such setting"
    if detail["type"] == "missing":
        return "is required"
    return str(detail["msg"]).removeprefix("Value error, ")
