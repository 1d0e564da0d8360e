"""Rows whose ids, names and columns are made to forge what a run leaves behind."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from local_jobs import LocalBucket

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks import reading
from tasks.preparing import prepare_run
from tasks.publish import summary_markdown
from tasks.reporting import close_ledger
from tasks.shard_work import ShardRequest, work_through_shard

SECRET = "hunter2"
EVIL = "\x1b[2J\x07\r\n2026-01-01 | ERROR | forged\u2028\u202e"
ROWS = [
    {"id": f"good{EVIL}", "content_uri": "photo00.jpg", f"note{EVIL}": EVIL},
    {"id": f"bad{EVIL}", "content_uri": f"photo{EVIL}.jpg", f"note{EVIL}": EVIL},
    {"id": "web", "content_uri": f"https://user:{SECRET}@host/a.jpg?sig={SECRET}{EVIL}"},
    {"id": "up", "content_uri": "../../etc/passwd", "style_uri": f"s3://u:{SECRET}@inbox/s.jpg"},
    {"id": "style", "content_uri": "photo01.jpg", "style_uri": "../../../etc/passwd"},
    {"id": "mask", "content_uri": "photo02.jpg", "mask_uri": f"s3://u:{SECRET}@inbox/m.png"},
]


def has_control_characters(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text if char != "\n")


@pytest.fixture
def run(bucket: LocalBucket, caplog: pytest.LogCaptureFixture) -> RunLedger:
    """A run over the rows, with everything logged."""
    caplog.set_level(0)
    bucket.fill(3)
    manifest = bucket.manifest(*ROWS)
    ledger = prepare_run(Store(), bucket.job(manifest_uri=str(manifest), method="identity"))
    for number in range(len(ledger.record.shards)):
        work_through_shard(ledger, ShardRequest(ledger.run_uri, number, "session", device="cpu"))
    return ledger


def test_hostile_rows_fail_by_themselves_and_the_good_one_is_made(
    run: RunLedger, bucket: LocalBucket
) -> None:
    found = {row["row_id"].partition("\x1b")[0]: row["error_code"] for row in bucket.results()}
    refused = {"bad": "bad_key", "web": "not_allowed", "up": "bad_key"}
    assert found == {"good": None, **refused, "style": "bad_key", "mask": "bad_key"}
    (picture,) = bucket.pictures()
    assert re.fullmatch(r"photo00-[0-9a-f]{12}\.jpg", picture.name)


def test_nothing_that_a_run_leaves_has_control_characters_or_secrets(
    run: RunLedger, bucket: LocalBucket, caplog: pytest.LogCaptureFixture
) -> None:
    closing = close_ledger(run, 1.0)
    texts = [summary_markdown(run, closing), caplog.text.replace("\t", " ")]
    texts += [str(row["error_message"]) for row in bucket.results()]
    texts += [path.read_text() for path in Path(run.run_uri).glob("*.*")]
    texts += [path.as_posix() for path in bucket.output.rglob("*")]
    assert not any(map(has_control_characters, texts))
    rows = json.dumps(bucket.results(), default=str)
    assert SECRET not in "".join(texts) + rows
    plan = b"".join(path.read_bytes() for path in Path(run.run_uri).glob("plan/*"))
    assert SECRET.encode() not in plan


def test_the_log_of_a_fault_shows_the_rows_id_in_one_line(
    bucket: LocalBucket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError(EVIL)

    monkeypatch.setattr(reading, "_decode_small", fail)
    bucket.fill(1)
    manifest = bucket.manifest(ROWS[0])
    ledger = prepare_run(Store(), bucket.job(manifest_uri=str(manifest), method="identity"))
    work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, "session", device="cpu"))
    (record,) = (one for one in caplog.records if one.getMessage().startswith("row "))
    assert record.getMessage().isprintable()
    (row,) = bucket.results()
    assert row["error_code"] == "internal"
    assert row["error_message"].isprintable()
