"""What is left of uploads, from names alone."""

import json
from typing import Any

import pytest

from stylecore.batch.outcome import Outcome
from stylecore.batch.uploads import Upload, failure_note, next_attempt, write_manifest

NAME = "photo-0123456789ab"


@pytest.mark.parametrize(
    ("pictures", "failures", "attempt"),
    [
        (set(), set(), 1),
        ({NAME}, set(), None),
        ({NAME}, {f"{NAME}.try1.json"}, None),
        (set(), {f"{NAME}.json"}, None),
        (set(), {f"{NAME}.try1.json"}, 2),
        (set(), {f"{NAME}.try1.json", f"{NAME}.try2.json"}, 3),
        (set(), {f"{NAME}.try2.json"}, 1),
        ({"other-0123456789ab"}, {"other-0123456789ab.json"}, 1),
    ],
)
def test_names_say_which_attempt_is_due(
    pictures: set[str], failures: set[str], attempt: int | None
) -> None:
    assert next_attempt(NAME, pictures, failures) == attempt


@pytest.mark.parametrize(
    ("code", "attempt", "note"),
    [
        ("not_an_image", 1, f"{NAME}.json"),
        ("missing", 2, f"{NAME}.json"),
        ("storage_timeout", 1, f"{NAME}.try1.json"),
        ("storage_error", 2, f"{NAME}.try2.json"),
        ("out_of_memory", 3, f"{NAME}.json"),
        ("internal", 1, f"{NAME}.try1.json"),
        ("deadline", 1, f"{NAME}.try1.json"),
    ],
)
def test_a_failure_that_lasts_is_noted_for_good_and_one_that_passes_three_times(
    code: str, attempt: int, note: str
) -> None:
    name, words = failure_note(failed(code, attempt), "s3://outbox/runs/1")
    assert name == note
    assert (words["error_code"], words["attempt"]) == (code, attempt)
    assert json.loads(json.dumps(words)) == words


def failed(code: str, attempt: int) -> Outcome:
    extra: dict[str, Any] = {
        "upload_name": NAME,
        "upload_attempt": attempt,
        "upload_version": "etag",
    }
    return Outcome(
        row_id="wave/photo.jpg",
        content_uri="s3://inbox/wave/photo.jpg",
        style="wave",
        style_uri="s3://inbox/styles/wave.jpg",
        status="failed",
        shard=0,
        error_code=code,
        error_message="why",
        extra=extra,
    )


def test_a_manifest_is_called_by_what_is_in_it() -> None:
    upload = Upload("wave/1.jpg", "s3://inbox/wave/1.jpg", "etag", NAME)
    name, data = write_manifest([upload])
    assert write_manifest([upload]) == (name, data)
    changed = Upload("wave/1.jpg", "s3://inbox/wave/1.jpg", "other", NAME)
    assert write_manifest([changed])[0] != name
    again = Upload("wave/1.jpg", "s3://inbox/wave/1.jpg", "etag", NAME, attempt=2)
    assert write_manifest([again])[0] != name
    (line,) = map(json.loads, data.decode().splitlines())
    assert (line["id"], line["content_uri"]) == ("wave/1.jpg", "s3://inbox/wave/1.jpg")
