"""Notifications of uploads, in every shape that a store or a queue gives them."""

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.events import UploadEvent, read_events, uploads_in_inbox

KEY = "wave/a b+c%20é.jpg"
EXPECTED = [UploadEvent("inbox", KEY)]


def s3_record(name: str = "ObjectCreated:Put", key: str = KEY) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {"name": "inbox", "arn": "arn:aws:s3:::inbox"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": 5,
                "eTag": "5d41",
                "sequencer": "0",
            },
        },
    }


def s3_event(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records or (s3_record(),))}


def sns(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:eu-central-1:1:uploads",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
    }


EVENT_BRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "inbox"}, "object": {"key": KEY, "size": 5}},
}
MINIO = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": f"inbox/{KEY}",
    "Records": [s3_record() | {"eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put"}],
}
SEAWEED = {
    "event_type": "create",
    "key": f"/buckets/inbox/{KEY}",
    "message": {
        "new_entry": {"name": "a b+c%20é.jpg", "attributes": {"file_size": 5}},
        "new_parent_path": "/buckets/inbox/wave",
    },
}
SHAPES = {
    "S3": s3_event(),
    "S3 through SNS": sns(s3_event()),
    "S3 through SQS": {"Messages": [{"MessageId": "1", "Body": json.dumps(s3_event())}]},
    "S3 through SNS and SQS": {"Messages": [{"Body": json.dumps(sns(s3_event()))}]},
    "S3 through SQS and Lambda": {
        "Records": [{"eventSource": "aws:sqs", "body": json.dumps(s3_event())}]
    },
    "S3 through SNS and Lambda": {
        "Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns(s3_event())}]
    },
    "S3 through SNS, SQS and Lambda": {
        "Records": [{"eventSource": "aws:sqs", "body": json.dumps(sns(s3_event()))}]
    },
    "a single SQS message": {"MessageId": "1", "Body": json.dumps(s3_event())},
    "EventBridge": EVENT_BRIDGE,
    "EventBridge through SQS": {"Messages": [{"Body": json.dumps(EVENT_BRIDGE)}]},
    "MinIO": MINIO,
    "SeaweedFS": SEAWEED,
    "SeaweedFS, replaced": SEAWEED | {"event_type": "update"},
}


@pytest.mark.parametrize("payload", SHAPES.values(), ids=SHAPES)
def test_every_shape_tells_of_the_same_upload(payload: dict[str, Any]) -> None:
    assert list(read_events(payload)) == EXPECTED
    assert uploads_in_inbox(json.loads(json.dumps(payload)), "s3://inbox") == EXPECTED


QUIET = {
    "S3's test": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"},
    "removed from S3": s3_event(s3_record("ObjectRemoved:Delete")),
    "EventBridge, removed": EVENT_BRIDGE | {"detail-type": "Object Deleted"},
    "EventBridge, somebody else's": EVENT_BRIDGE | {"source": "com.example"},
    "SNS' wish to be confirmed": {
        "Type": "SubscriptionConfirmation",
        "Message": "You have chosen to subscribe",
        "SubscribeURL": "https://example.com/",
    },
    "removed from SeaweedFS": {
        "event_type": "delete",
        "key": f"/buckets/inbox/{KEY}",
        "message": {"old_entry": {"name": "x.jpg"}},
    },
    "a folder in SeaweedFS": {
        "event_type": "create",
        "key": "/buckets/inbox/wave",
        "message": {"new_entry": {"name": "wave", "is_directory": True}},
    },
    "elsewhere in SeaweedFS": SEAWEED | {"key": "/topics/x"},
    "a bucket of SeaweedFS": SEAWEED | {"key": "/buckets/inbox"},
    "nothing": {},
    "a bucket without a name": s3_event(s3_record() | {"s3": {"bucket": "inbox", "object": {}}}),
    "a key that is none": EVENT_BRIDGE
    | {"detail": {"bucket": {"name": "a"}, "object": {"key": 1}}},
    "an object that is none": EVENT_BRIDGE | {"detail": {"bucket": {"name": "a"}, "object": []}},
}


@pytest.mark.parametrize("payload", QUIET.values(), ids=QUIET)
def test_what_is_no_upload_tells_of_none(payload: dict[str, Any]) -> None:
    assert list(read_events(payload)) == []


def test_many_records_are_many_uploads() -> None:
    keys = ["wave/1.jpg", "wave/2.jpg"]
    payload = s3_event(*(s3_record(key=key) for key in keys))
    assert [event.key for event in read_events(payload)] == keys


@pytest.mark.parametrize(
    ("key", "inbox_uri", "counts"),
    [
        ("wave/1.jpg", "s3://inbox", True),
        ("in/wave/1.jpg", "s3://inbox/in", True),
        ("wave/1.jpg", "s3://outbox", False),
        ("inner/wave/1.jpg", "s3://inbox/in", False),
        (".uploads/1/2.jpg", "s3://inbox", False),
        ("wave/.hidden.jpg", "s3://inbox", False),
        ("wave/", "s3://inbox", False),
        ("in/", "s3://inbox/in", False),
    ],
)
def test_only_uploads_below_the_inbox_count(key: str, inbox_uri: str, counts: bool) -> None:
    assert bool(uploads_in_inbox(s3_event(s3_record(key=key)), inbox_uri)) is counts


def test_envelopes_in_envelopes_come_to_an_end() -> None:
    payload: Any = s3_event()
    for _ in range(5000):
        payload = [{"Messages": payload}]
    assert list(read_events(payload)) == []


LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
NAMES = st.text() | st.sampled_from(
    ["Records", "Message", "Messages", "body", "Body", "s3", "bucket", "object", "name", "key"]
    + ["detail", "detail-type", "source", "event_type", "message", "new_entry", "eventName"]
)
ANYTHING = st.recursive(
    LEAVES | st.sampled_from(["Object Created", "aws.s3", "ObjectCreated:Put", "/buckets/a/b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=40,
)


@given(payload=ANYTHING)
def test_whatever_comes_is_read_without_a_fault(payload: object) -> None:
    for event in read_events(payload):
        assert isinstance(event.bucket, str)
        assert isinstance(event.key, str)
    assert uploads_in_inbox(payload, "s3://inbox") == []


@given(text=st.text(max_size=200))
def test_a_key_comes_through_s3_encoding_as_it_was(text: str) -> None:
    assert [event.key for event in read_events(s3_event(s3_record(key=text)))] == [text]


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    path=st.lists(st.integers(0, 5), max_size=6),
    value=ANYTHING,
)
def test_a_damaged_notification_is_read_without_a_fault(
    shape: str, path: list[int], value: object
) -> None:
    payload = json.loads(json.dumps(SHAPES[shape]))
    node = payload
    for step in path:
        children = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not children:
            break
        name = children[step % len(children)]
        if not isinstance(node[name], dict | list) or step == path[-1]:
            node[name] = value
            break
        node = node[name]
    assert all(isinstance(event, UploadEvent) for event in read_events(payload))
