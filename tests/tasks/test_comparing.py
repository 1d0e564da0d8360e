"""Comparisons: paired figures, verdicts, the key to the blind pairs, and votes on them."""

import base64
import io
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from local_jobs import LocalBucket
from PIL import Image
from stub_stylizers import install_invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.scores import ScoreLine
from stylecore.batch.store import Store
from stylecore.batch.votes import Vote, VoteFile
from stylecore.errors import JobError
from tasks.comparing import Comparison, compare_ledgers, compare_measures
from tasks.pairing import Pair, count_votes_on
from tasks.preparing import prepare_run
from tasks.score_totals import close_scores
from tasks.scoring import pending_scores, score_shard
from tasks.shard_work import ShardRequest, work_through_shard


@pytest.fixture
def runs(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> tuple[RunLedger, RunLedger]:
    """The same photographs copied, and with inverted colors; both are scored."""
    bucket.fill(3)
    return scored_twice(bucket, monkeypatch)


def scored_twice(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, **fields: object
) -> tuple[RunLedger, RunLedger]:
    copied = scored(bucket, method="identity", **fields)
    install_invert(monkeypatch)
    return copied, scored(bucket, **fields)


def scored(bucket: LocalBucket, **fields: object) -> RunLedger:
    run = prepare_run(Store(), bucket.job(**fields))
    work_through_shard(run, ShardRequest(run.run_uri, 0, run.run_id))
    for number in pending_scores(run):
        score_shard(run, number, threading.Event())
    close_scores(run)
    return run


def compare(runs: tuple[RunLedger, RunLedger], folder: Path) -> Comparison:
    return compare_ledgers(*runs, str(folder / "compared"))


def line(number: int, **figures: float | None) -> ScoreLine:
    return ScoreLine(str(number), f"/in/{number}.jpg", "wave", f"/out/{number}.jpg", **figures)


def pairs(a: list[dict[str, float | None]], b: list[dict[str, float | None]]) -> list[Pair]:
    both = enumerate(zip(a, b, strict=True))
    return [Pair(str(n), line(n, **one), line(n, **two)) for n, (one, two) in both]


def test_differences_are_those_of_the_second_run_to_the_first_pair_by_pair() -> None:
    a = [{"swdl": 0.2}, {"swdl": 0.4}, {"swdl": 0.8}]
    b = [{"swdl": 0.1}, {"swdl": 0.3}, {"swdl": 0.6}]
    (name, found), *others = compare_measures(pairs(a, b)).items()
    assert (name, others, found.pairs) == ("swdl", [], 3)
    assert (found.a, found.b) == (pytest.approx(1.4 / 3), pytest.approx(1 / 3))
    assert found.difference.value == pytest.approx(-0.4 / 3)
    assert found.median_difference.value == pytest.approx(-0.1)
    assert found.ratio.value == pytest.approx(0.75)
    assert found.verdict == "b"


def test_more_is_better_where_the_measure_says_so() -> None:
    less, more = [{"ssim_content": 0.5, "fdrl": 0.5}] * 3, [{"ssim_content": 0.6, "fdrl": 0.6}] * 3
    found = compare_measures(pairs(less, more))
    assert (found["ssim_content"].verdict, found["fdrl"].verdict) == ("b", "a")


def test_no_run_is_better_where_the_interval_holds_zero_or_there_is_none() -> None:
    a = [{"fdrl": 0.1}, {"fdrl": 0.5}, {"fdrl": 0.3}, {"fdrl": 0.4}]
    b = [{"fdrl": 0.5}, {"fdrl": 0.1}, {"fdrl": 0.31}, {"fdrl": 0.4}]
    assert compare_measures(pairs(a, b))["fdrl"].verdict == "same"
    assert compare_measures(pairs(a[:1], b[:1]))["fdrl"].verdict == "same"


def test_only_pairs_for_which_both_have_the_figure_are_counted() -> None:
    a = [{"fdrl": 0.1}, {"fdrl": None}, {"fdrl": 0.0}]
    b = [{"fdrl": 0.2}, {"fdrl": 0.3}, {"fdrl": 0.5}]
    found = compare_measures(pairs(a, b))["fdrl"]
    assert (found.pairs, found.ratio.value) == (2, pytest.approx(2))


def test_files_tell_the_figures_and_the_page_shows_every_pair_on_the_side_that_is_written_down(
    runs: tuple[RunLedger, RunLedger], tmp_path: Path
) -> None:
    result = compare(runs, tmp_path)
    assert (result.pairs, result.only_a, result.only_b) == (3, 0, 0)
    assert {"fdrl", "swdl"} <= set(result.measures)
    assert result.sets["wave"]["fd_vgg"].a is not None
    text = (tmp_path / "compared" / "compare.json").read_text()
    assert Comparison.model_validate_json(text) == result
    html = (tmp_path / "compared" / "compare.html").read_text()
    for side in result.blind:
        (article,) = re.findall(rf'<article[^>]*"{side.pair}".*?</article>', html, re.DOTALL)
        shown = re.search(r'class="left" src="data:image/jpeg;base64,([^"]*)"', article)
        run = runs[0] if side.left == "a" else runs[1]
        (outcome,) = (o for o in run.outcomes() if o.row_id == side.row_id)
        assert difference(base64.b64decode(shown[1]), Path(outcome.output_uri).read_bytes()) < 10


def difference(first: bytes, second: bytes) -> float:
    """Mean difference of two pictures, in levels."""
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in (first, second)]
    one, two = (np.asarray(image, float) for image in images)
    return float(np.abs(one - two).mean())


def test_a_picture_that_is_gone_is_not_shown_and_the_rest_is(
    runs: tuple[RunLedger, RunLedger], tmp_path: Path
) -> None:
    Path(next(runs[0].outcomes()).output_uri).unlink()
    compare(runs, tmp_path)
    html = (tmp_path / "compared" / "compare.html").read_text()
    assert html.count("<article") == 2


def test_votes_on_the_pairs_of_two_runs_are_counted_without_the_page(
    runs: tuple[RunLedger, RunLedger], tmp_path: Path
) -> None:
    result = compare(runs, tmp_path)
    for_b = [Vote(pair=s.pair, choice="left" if s.left == "b" else "right") for s in result.blind]
    file = VoteFile(comparison=result.comparison, votes=tuple(for_b[:2]))
    count = count_votes_on(*runs, {"votes.json": file})
    assert (count.a, count.b, count.same) == (0, 2, 0)
    with pytest.raises(JobError, match="another comparison"):
        count_votes_on(*reversed(runs), {"votes.json": file})


def test_a_run_is_not_compared_with_itself(
    runs: tuple[RunLedger, RunLedger], tmp_path: Path
) -> None:
    with pytest.raises(JobError, match="the same run"):
        compare_ledgers(runs[0], runs[0], str(tmp_path / "compared"))
    assert not (tmp_path / "compared").exists()


def test_nothing_of_a_hostile_manifest_acts_in_the_page(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket.fill(1)
    script = "<script>alert(1)</script>"
    manifest = bucket.manifest({"id": script, "file_name": "photo00.jpg"})
    compare(scored_twice(bucket, monkeypatch, manifest_uri=str(manifest)), tmp_path)
    html = (tmp_path / "compared" / "compare.html").read_text()
    assert script not in html
    key = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert key["blind"][0]["row_id"] == script
