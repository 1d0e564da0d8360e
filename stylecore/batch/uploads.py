"""What became of uploads, from names alone: pictures, failures, and tries that may be repeated.

    <output>/images/<style>/<stem>-<fingerprint12>.jpg           made
    <output>/failures/<style>/<stem>-<fingerprint12>.json        will never be made
    <output>/failures/<style>/<stem>-<fingerprint12>.try1.json   failed once with a passing fault

Deleting a failure has its upload tried again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from stylecore.batch.fingerprint import digest_of
from stylecore.batch.outcome import Outcome
from stylecore.errors import PassingError

MAX_ATTEMPTS: Final = 3
NAME_COLUMN: Final = "upload_name"
ATTEMPT_COLUMN: Final = "upload_attempt"
VERSION_COLUMN: Final = "upload_version"
_PASSING_CODES: Final = frozenset(kind.code for kind in PassingError.__subclasses__())


@dataclass(frozen=True, slots=True)
class Upload:
    """A photograph to be made.

    Attributes:
        row_id: name below the inbox.
        uri: normalised.
        version: of the bytes that were listed.
        name: of its picture, without suffix.
        attempt: which one this is, from 1.
    """

    row_id: str
    uri: str
    version: str
    name: str
    attempt: int = 1


def next_attempt(name: str, pictures: AbstractSet[str], failures: AbstractSet[str]) -> int | None:
    """Which attempt at an upload is due, from 1; None where nothing is left to do.

    Args:
        name: of its picture, without suffix.
        pictures: names of the style's pictures, without suffix.
        failures: names of the style's failures.
    """
    if name in pictures or f"{name}.json" in failures:
        return None
    return next(n for n in range(1, MAX_ATTEMPTS + 1) if _try_name(name, n) not in failures)


def _try_name(name: str, attempt: int) -> str:
    """Of the note on an attempt; the last one says that there will be no other."""
    return f"{name}.json" if attempt >= MAX_ATTEMPTS else f"{name}.try{attempt}.json"


def write_manifest(uploads: Sequence[Upload]) -> tuple[str, bytes]:
    """The uploads as an ordinary manifest: its name, which says what is in it, and its bytes."""
    lines = [
        {
            "id": upload.row_id,
            "content_uri": upload.uri,
            NAME_COLUMN: upload.name,
            ATTEMPT_COLUMN: upload.attempt,
            VERSION_COLUMN: upload.version,
        }
        for upload in uploads
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return f"{digest_of(lines)[:16]}.jsonl", text.encode()


def failure_note(outcome: Outcome, run_uri: str) -> tuple[str, dict[str, Any]]:
    """What to write of a failed upload: the note's name, and what it says."""
    attempt = int(outcome.extra[ATTEMPT_COLUMN])
    will_pass = outcome.error_code in _PASSING_CODES
    name = _try_name(str(outcome.extra[NAME_COLUMN]), attempt if will_pass else MAX_ATTEMPTS)
    return name, {
        "content_uri": outcome.content_uri,
        "content_version": outcome.extra[VERSION_COLUMN],
        "style": outcome.style,
        "style_uri": outcome.style_uri,
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
        "attempt": attempt,
        "run_uri": run_uri,
        "finished_at": outcome.finished_at.isoformat(),
    }
