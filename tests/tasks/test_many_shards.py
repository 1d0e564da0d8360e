"""What a shard costs does not grow with the number of the others."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from local_jobs import LocalBucket

from stylecore.batch.objects import ObjectInfo
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard


class ListingStore(Store):
    """Remembers what was listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    def list_objects(self, folder_uri: str) -> Iterator[ObjectInfo]:
        self.listed.append(folder_uri)
        return super().list_objects(folder_uri)


@pytest.mark.usefixtures("invert")
def test_a_shard_lists_no_other_shards_results(bucket: LocalBucket) -> None:
    bucket.fill(2)
    store = ListingStore()
    ledger = prepare_run(store, bucket.job(limits={"rows_per_shard": 1}))
    store.listed.clear()
    for number in (0, 1):
        work_through_shard(ledger, ShardRequest(ledger.run_uri, number, uuid4().hex, device="cpu"))
    assert [uri for uri in store.listed if "/results" in uri] == []
    assert ledger.pending_shards() == []
