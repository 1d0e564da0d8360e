"""Intermediate pictures of a shard: beside the pictures, never in their way."""

import logging
from uuid import uuid4

import numpy as np
import pytest
from local_jobs import LocalBucket
from PIL import Image
from stub_stylizers import Invert

from stylecore.batch.store import Store
from stylecore.errors import StorageFaultError
from tasks.preparing import prepare_run
from tasks.progress import Tally
from tasks.shard_work import ShardRequest, work_through_shard


def work(bucket: LocalBucket, save_every: int) -> Tally:
    ledger = prepare_run(Store(), bucket.job(output={"save_every": save_every}))
    return work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, uuid4().hex))


@pytest.mark.usefixtures("invert")
def test_each_picture_has_a_folder_with_its_steps(bucket: LocalBucket) -> None:
    bucket.fill(2)
    assert work(bucket, save_every=2).made == 2
    pictures = bucket.pictures()
    for picture in pictures:
        steps = bucket.output / "timelapse" / picture.parent.name / picture.stem
        assert sorted(path.name for path in steps.iterdir()) == ["00002.jpg", "00004.jpg"]
        step, final = (np.asarray(Image.open(path)) for path in (steps / "00004.jpg", picture))
        assert step.shape == final.shape


@pytest.mark.usefixtures("invert")
def test_steps_are_neither_photographs_nor_part_of_a_pictures_name(bucket: LocalBucket) -> None:
    bucket.fill(2)
    without = prepare_run(Store(), bucket.job()).run_id
    assert prepare_run(Store(), bucket.job(output={"save_every": 2})).run_id == without
    work(bucket, save_every=2)
    everything = bucket.job(manifest_uri=f"{bucket.folder}/", output={"save_every": 2})
    assert prepare_run(Store(), everything).record.rows == 3  # and the painting


def test_a_step_that_cannot_be_written_costs_no_picture(
    bucket: LocalBucket,
    invert: Invert,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bucket.fill(1)
    write = Store.write_bytes

    def refuse(store: Store, uri: str, data: bytes, content_type: str | None = None) -> None:
        if "timelapse" in uri:
            raise StorageFaultError(uri, "the disk is full")
        write(store, uri, data, content_type)

    monkeypatch.setattr(Store, "write_bytes", refuse)
    with caplog.at_level(logging.WARNING):
        assert work(bucket, save_every=1).made == 1
    assert "the disk is full" in caplog.text
    assert invert.stylized == [0]
