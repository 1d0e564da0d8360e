"""A picture that somebody else wrote after we looked: it stays, and the outcome tells of it."""

import hashlib
import io
from pathlib import Path
from uuid import uuid4

import pytest
from local_jobs import LocalBucket
from PIL import Image

from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard


class OvertakenStore(Store):
    """Somebody else writes each picture just before we do."""

    def __init__(self, theirs: bytes) -> None:
        super().__init__()
        self._theirs = theirs

    def create_once(self, uri: str, data: bytes, content_type: str | None = None) -> bool:
        if "/images/" in uri:
            super().write_bytes(uri, self._theirs, content_type)
        return super().create_once(uri, data, content_type)


def picture() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (32, 21), "red").save(sink, "JPEG")
    return sink.getvalue()


@pytest.mark.usefixtures("invert")
@pytest.mark.parametrize(("theirs", "stays"), [(picture(), True), (b"broken", False)])
def test_what_was_there_first_stays_if_it_is_a_picture(
    bucket: LocalBucket, theirs: bytes, stays: bool
) -> None:
    bucket.fill(1)
    ledger = prepare_run(OvertakenStore(theirs), bucket.job())
    request = ShardRequest(ledger.run_uri, 0, uuid4().hex, device="cpu")
    tally = work_through_shard(ledger, request)
    assert tally is not None
    assert (tally.made, tally.failed) == (1, 0)
    (row,) = bucket.results()
    data = Path(row["output_uri"]).read_bytes()
    assert (data == theirs) == stays
    assert row["output_sha256"] == hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as shown:
        assert (row["width_px"], row["height_px"]) == shown.size
