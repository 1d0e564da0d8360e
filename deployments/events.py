"""What upload notifications say, in the words of each store. Reads them, and fetches nothing.

Understood are records of AWS S3 and MinIO, directly or inside SNS envelopes, SQS bodies and Lambda
events; EventBridge; and SeaweedFS' webhook. S3's records carry URL-encoded keys, EventBridge and
SeaweedFS raw ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from stylecore.batch.objects import is_hidden
from stylecore.batch.uris import split_uri

_MAX_ENVELOPES: Final = 4  # Lambda's records, an SQS body, an SNS message, S3's records
_ENVELOPES: Final = ("Records", "Messages", "body", "Body", "Sns", "Message")
_SEAWEED_BUCKETS: Final = "/buckets/"


class UploadEvent(NamedTuple):
    """An object that was written, as somebody says."""

    bucket: str
    key: str


def uploads_in_inbox(payload: object, inbox_uri: str) -> list[UploadEvent]:
    """The uploads that a notification tells of, as far as they are in the inbox.

    Args:
        payload: JSON values; anything may be in them.
        inbox_uri: normalised ``s3://`` folder.
    """
    bucket, prefix = split_uri(inbox_uri)
    folder = f"{prefix}/" if prefix else ""
    return [
        event
        for event in read_events(payload)
        if event.bucket == bucket
        and event.key.startswith(folder)
        and not is_hidden(event.key[len(folder) :])
    ]


def read_events(payload: object, envelopes: int = _MAX_ENVELOPES) -> Iterator[UploadEvent]:
    """Every upload that a notification tells of; what is not understood tells of none."""
    if isinstance(payload, str):
        payload = _parse(payload)
    for item in payload if isinstance(payload, list) else [payload]:
        if not isinstance(item, Mapping):
            continue
        event = _read_record(item)
        if event is not None:
            yield event
        elif envelopes > 0:
            for name in _ENVELOPES:
                yield from read_events(item.get(name), envelopes - 1)


def _parse(text: str) -> object:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # A string in a string in a string is no envelope that anybody uses.
    return parsed if isinstance(parsed, dict | list) else None


def _read_record(record: Mapping[str, Any]) -> UploadEvent | None:
    if isinstance(record.get("s3"), Mapping):
        return _read_s3(record)
    if isinstance(record.get("detail"), Mapping):
        return _read_event_bridge(record)
    if isinstance(record.get("event_type"), str):
        return _read_seaweed(record)
    return None


def _read_s3(record: Mapping[str, Any]) -> UploadEvent | None:
    name = str(record.get("eventName", "")).removeprefix("s3:")
    return _event(record["s3"], unquote_plus) if name.startswith("ObjectCreated:") else None


def _read_event_bridge(record: Mapping[str, Any]) -> UploadEvent | None:
    is_upload = record.get("source") == "aws.s3" and record.get("detail-type") == "Object Created"
    return _event(record["detail"], str) if is_upload else None


def _event(described: Mapping[str, Any], decode: Any) -> UploadEvent | None:
    bucket, thing = described.get("bucket"), described.get("object")
    if not isinstance(bucket, Mapping) or not isinstance(thing, Mapping):
        return None
    name, key = bucket.get("name"), thing.get("key")
    if not isinstance(name, str) or not isinstance(key, str):
        return None
    return UploadEvent(name, decode(key))


def _read_seaweed(record: Mapping[str, Any]) -> UploadEvent | None:
    message, key = record.get("message"), record.get("key")
    entry = message.get("new_entry") if isinstance(message, Mapping) else None
    if not isinstance(entry, Mapping) or entry.get("is_directory") or not isinstance(key, str):
        return None
    if not key.startswith(_SEAWEED_BUCKETS):
        return None
    bucket, _, name = key.removeprefix(_SEAWEED_BUCKETS).partition("/")
    return UploadEvent(bucket, name) if name else None
