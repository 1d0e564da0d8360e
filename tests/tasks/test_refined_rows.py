"""A job with a refiner, from the file to the results, on a local folder."""

from pathlib import Path
from uuid import uuid4

import pytest
from local_jobs import LocalBucket

from stylecore.batch.store import Store
from stylecore.errors import JobError
from stylecore.refine.files import RefinerCard, save_refiner
from stylecore.refine.networks import Refiner
from tasks.preparing import prepare_run
from tasks.reporting import close_ledger
from tasks.shard_work import ShardRequest, work_through_shard

QUICK = {"num_evaluations": 3}


@pytest.fixture
def weights(bucket: LocalBucket) -> Path:
    """A folder as training writes it, with a refiner that has learned nothing."""
    bucket.fill(1)
    folder = bucket.folder / "refiner"
    folder.mkdir()
    data = save_refiner(Refiner(), RefinerCard(version="0"))
    (folder / "refiner.safetensors").write_bytes(data)
    return folder


def test_results_say_what_the_gate_saw(bucket: LocalBucket, weights: Path) -> None:
    ledger = prepare_run(Store(), bucket.job(refine=str(weights), optimize=QUICK))
    assert ledger.record.job.refine is not None
    assert ledger.record.job.refine.uri == str(weights / "refiner.safetensors")
    work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, uuid4().hex))
    (row,) = bucket.results()
    assert row["status"] == "made"
    assert row["refine_alpha"] == 0  # a refiner that changes nothing gains nothing
    assert row["fdrl"] == row["fdrl_unrefined"] > 0
    assert 0 < row["lpips_unrefined"] < 2
    assert row["ssim_unrefined"] <= 1


def test_without_a_refiner_these_figures_are_unknown(bucket: LocalBucket) -> None:
    bucket.fill(1)
    ledger = prepare_run(Store(), bucket.job(method="identity"))
    work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, uuid4().hex))
    (row,) = bucket.results()
    assert row["refine_alpha"] is row["fdrl"] is row["ssim_unrefined"] is None


def test_other_weights_make_another_run_and_other_pictures(
    bucket: LocalBucket, weights: Path
) -> None:
    job = bucket.job(refine=str(weights), optimize=QUICK)
    first = prepare_run(Store(), job)
    data = save_refiner(Refiner(), RefinerCard(version="1"))
    (weights / "refiner.safetensors").write_bytes(data)
    second = prepare_run(Store(), job)
    assert second.run_id != first.run_id
    assert second.record.inputs_digest != first.record.inputs_digest


def test_a_refiner_that_is_not_there_is_a_wrong_request(bucket: LocalBucket) -> None:
    bucket.fill(1)
    with pytest.raises(JobError, match=r"refine: .*nowhere/refiner\.safetensors"):
        prepare_run(Store(), bucket.job(refine=str(bucket.folder / "nowhere")))


def test_a_file_that_is_no_refiner_is_refused_before_anything_is_planned(
    bucket: LocalBucket, weights: Path
) -> None:
    (weights / "refiner.safetensors").write_bytes(b"something else")
    with pytest.raises(JobError, match="safetensors"):
        prepare_run(Store(), bucket.job(refine=str(weights)))
    assert not (bucket.output / "runs").exists()


def test_summary_and_report_count_what_was_refined(bucket: LocalBucket, weights: Path) -> None:
    ledger = prepare_run(Store(), bucket.job(refine=str(weights), optimize=QUICK))
    work_through_shard(ledger, ShardRequest(ledger.run_uri, 0, uuid4().hex))
    summary = close_ledger(ledger, 1.0).summary
    assert (summary.refined, summary.refinements_rejected) == (0, 1)
    assert "0 of 1 pictures" in (Path(ledger.run_uri) / "report.html").read_text()
