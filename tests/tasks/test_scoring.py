"""Scoring shard by shard: what is measured, what is left alone, and what cannot be read."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from local_jobs import LocalBucket

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import RunStoppedError
from tasks.preparing import prepare_run
from tasks.score_tables import score_rows, show_number
from tasks.score_totals import close_scores, read_totals
from tasks.scoring import pending_scores, read_scores, score_shard
from tasks.shard_work import ShardRequest, work_through_shard

GO = threading.Event()


@pytest.fixture
def ledger(bucket: LocalBucket, invert: object) -> RunLedger:
    """Two shards of two pictures, made by inverting colors."""
    bucket.fill(4)
    return make(bucket)


def make(bucket: LocalBucket, **fields: object) -> RunLedger:
    run = prepare_run(Store(), bucket.job(limits={"rows_per_shard": 2}, **fields))
    for number in range(len(run.record.shards)):
        work_through_shard(run, ShardRequest(run.run_uri, number, "test"))
    return run


def test_every_made_picture_gets_the_known_figures_and_the_texture(ledger: RunLedger) -> None:
    assert pending_scores(ledger) == [0, 1]
    assert [score_shard(ledger, number, GO) for number in (0, 1)] == [2, 2]
    assert pending_scores(ledger) == []
    lines = [line for number in (0, 1) for line in read_scores(ledger, number)]
    assert [line.row_id for line in lines] == ["0", "1", "2", "3"]
    for line, outcome in zip(lines, ledger.outcomes(), strict=True):
        assert (line.total_loss, line.psnr_content) == (3.0, None)
        assert line.lpips_content == outcome.lpips_content
        assert line.output_sha256 == outcome.output_sha256
        assert line.fdrl is not None
        assert line.fdrl > 0
        assert line.swdl is not None
        assert line.swdl > 0
        assert line.error_code is None


def test_what_is_scored_is_not_touched_again(ledger: RunLedger) -> None:
    score_shard(ledger, 1, GO)
    assert pending_scores(ledger) == [0]


@pytest.mark.usefixtures("invert")
def test_a_shard_whose_failed_row_was_made_later_is_scored_again(bucket: LocalBucket) -> None:
    bucket.fill(2)
    late = bucket.photographs / "photo01.jpg"
    data = late.read_bytes()
    names = [{"file_name": f"photo{number:02d}.jpg"} for number in range(2)]
    late.unlink()
    run = make(bucket, manifest_uri=str(bucket.manifest(*names)))
    assert score_shard(run, 0, GO) == 1
    assert pending_scores(run) == []
    late.write_bytes(data)
    work_through_shard(run, ShardRequest(run.run_uri, 0, "again", retry="failed"))
    assert pending_scores(run) == [0]
    assert score_shard(run, 0, GO) == 2


def test_a_picture_that_cannot_be_read_has_a_code_and_the_others_their_figures(
    bucket: LocalBucket, ledger: RunLedger
) -> None:
    first, second = (Path(str(o.output_uri)) for o in ledger.outcomes_of(0))
    first.unlink()
    second.write_bytes(b"<html>")
    for number in (0, 1):
        score_shard(ledger, number, GO)
    assert [line.error_code for line in read_scores(ledger, 0)] == ["missing", "not_an_image"]
    assert [line.fdrl for line in read_scores(ledger, 0)] == [None, None]
    assert pending_scores(ledger) == []
    summary = close_scores(ledger)
    assert (summary.scored, summary.unreadable) == (2, 2)
    assert summary.line == "scored 2 of 4 pictures, 2 could not be read"
    assert summary.measures["fdrl"].count == 2


def test_scoring_stops_when_asked_to_and_leaves_the_shard_to_do(ledger: RunLedger) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(RunStoppedError):
        score_shard(ledger, 0, stop)
    assert pending_scores(ledger) == [0, 1]


def test_a_run_without_a_method_to_measure_losses_has_its_texture_measured(
    bucket: LocalBucket,
) -> None:
    bucket.fill(2)
    run = make(bucket, method="identity", max_side_px=48)
    score_shard(run, 0, GO)
    summary = close_scores(run)
    assert set(summary.measures) == {"fdrl", "swdl"}
    assert summary.styles["wave"].fd_vgg is not None
    assert summary.styles["wave"].art_fd is None


def test_totals_have_means_medians_and_set_scores_with_intervals(ledger: RunLedger) -> None:
    for number in (0, 1):
        score_shard(ledger, number, GO)
    summary = close_scores(ledger)
    values = [line.swdl or 0 for number in (0, 1) for line in read_scores(ledger, number)]
    swdl = summary.measures["swdl"]
    assert swdl.mean.value == pytest.approx(sum(values) / 4)
    assert swdl.median.value == pytest.approx(sum(sorted(values)[1:3]) / 2)
    assert swdl.mean.low < swdl.mean.value < swdl.mean.high
    wave = summary.styles["wave"]
    lpips = summary.measures["lpips_content"].mean.value
    assert wave.art_fd.value == pytest.approx((1 + lpips) * (1 + wave.fd_vgg.value), rel=1e-4)
    assert "psnr_content" not in summary.measures
    assert read_totals(ledger) == summary
    text = json.loads(Path(ledger.uri("scores.json")).read_text())
    assert "Not the FID" in text["about"]["fd_vgg"]


def test_a_run_of_which_nothing_was_made_yet_has_empty_totals(bucket: LocalBucket) -> None:
    bucket.fill(2)
    run = prepare_run(Store(), bucket.job())
    assert read_totals(run) is None
    summary = close_scores(run)
    assert (summary.scored, summary.measures, summary.styles) == (0, {}, {})
    assert score_rows(summary) == []


def test_a_table_has_the_run_first_and_set_scores_of_its_styles(ledger: RunLedger) -> None:
    for number in (0, 1):
        score_shard(ledger, number, GO)
    summary = close_scores(ledger)
    rows = [(row["style"], row["measure"]) for row in score_rows(summary)]
    assert rows[0] == ("all", "content ↓")
    assert ("all", "SSIM ↑") in rows
    assert rows[-2:] == [("wave", "FD-VGG ↓ of the set"), ("wave", "ArtFD ↓ of the set")]
    two = {**summary.styles, "poppies": summary.styles["wave"]}
    several = score_rows(summary.model_copy(update={"styles": two}))
    assert ("poppies", "swdL ↓") in [(row["style"], row["measure"]) for row in several]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (-0.0, "0"), (1234.5, "1,234"), (-12.34, "-12.3"), (4.2e-6, "4.2e-06")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert show_number(value) == text


def test_a_scored_line_is_that_of_its_picture_alone(ledger: RunLedger) -> None:
    score_shard(ledger, 0, GO)
    one, other = read_scores(ledger, 0)
    assert replace(one, row_id=other.row_id) != other
    assert one.fdrl != other.fdrl
