import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sample_images import GREAT_WAVE, make_photographs

from stylecore.batch.extra import ExtraColumns
from stylecore.batch.fingerprint import Style
from stylecore.batch.ledger import PlannedShard, PlannedStyle, RunLedger, RunRecord
from stylecore.batch.outcome import Outcome
from stylecore.batch.planning import PlannedRow, ShardRows
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from tasks.closing import read_summary, summarize, survey_outcomes
from tasks.reporting import close_ledger, make_cards

WAVE = Style("wave", (str(GREAT_WAVE),), (1.0,))


def planned_run(folder: Path, rows: int, **limits: Any) -> RunLedger:
    """A run of one shard whose pictures are the photographs themselves."""
    ledger = RunLedger(Store(), f"{folder}/out", "0123")
    for name, data in make_photographs(rows).items():
        for uri in (f"{folder}/in/{name}", f"{folder}/out/images/wave/{name}"):
            ledger.store.write_bytes(uri, data)
    planned = [
        PlannedRow(name, f"{folder}/in/{name}", None, None, None, {}) for name in names(rows)
    ]
    ledger.write_shard_plan(ShardRows(0, 0, planned), WAVE, ExtraColumns())
    job = StylizeJob.model_validate(
        {
            "manifest_uri": f"{folder}/in/set one.jsonl",
            "output_uri": f"{folder}/out",
            "method": "identity",
            "limits": limits,
        }
    )
    ledger.complete_plan(
        RunRecord(
            run_id="0123",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            versions={},
            job=job,
            manifest_digest="m",
            inputs_digest="",
            rows=rows + 1,
            planned=rows,
            duplicates=1,
            rejected={},
            rows_per_shard=100,
            styles=(PlannedStyle(name="wave", uris=WAVE.uris, weights=(1.0,), digest="d"),),
            shards=(PlannedShard(style_index=0, rows=rows),),
        )
    )
    return ledger


def names(count: int) -> list[str]:
    return [f"photo{number:02d}.jpg" for number in range(count)]


def finish(ledger: RunLedger, *statuses: str) -> list[Outcome]:
    shard = ledger.read_shard(0)
    outcomes = [
        outcome(
            row.row_id,
            status,
            content_uri=row.content_uri,
            output_uri=f"{ledger.output_uri}/images/wave/{row.row_id}",
            error_code="missing" if status == "failed" else None,
            error_message="there is <nothing>" if status == "failed" else None,
        )
        for row, status in zip(shard.rows, statuses, strict=True)
    ]
    assert ledger.write_results(shard, outcomes)
    return outcomes


def outcome(row_id: str, status: Any, **values: Any) -> Outcome:
    plain: dict[str, Any] = {"content_uri": "c", "style": "wave", "style_uri": WAVE.uri, "shard": 0}
    return Outcome(**plain | {"row_id": row_id, "status": status, "evaluations": 7} | values)


def many(made: int, failed: int) -> Iterator[Outcome]:
    for number in range(made):
        yield outcome(str(number), "made")
    for number in range(failed):
        yield outcome(f"f{number}", "failed", error_code="missing", evaluations=None)


def test_a_summary_has_the_promised_figures_and_they_add_up(tmp_path: Path) -> None:
    ledger = planned_run(tmp_path, 4)
    finish(ledger, "made", "made", "skipped", "failed")
    close_ledger(ledger, 8.0)
    summary = json.loads(Path(ledger.uri("summary.json")).read_text())
    promised = "planned made skipped failed failed_by_code seconds images_per_second run_id"
    assert set(promised.split()) <= set(summary)
    assert summary["made"] + summary["skipped"] + summary["failed"] == summary["planned"] == 4
    assert (summary["made"], summary["duplicates"]) == (2, 1)
    assert summary["failed_by_code"] == {"missing": 1}
    assert (summary["seconds"], summary["images_per_second"]) == (8.0, 0.25)
    assert summary["run_id"] == "0123"


def test_the_report_shows_pictures_totals_and_failures_and_needs_nothing_else(
    tmp_path: Path,
) -> None:
    ledger = planned_run(tmp_path, 3)
    finish(ledger, "made", "skipped", "failed")
    close_ledger(ledger, 1.0)
    page = Path(ledger.uri("report.html")).read_text()
    assert page.count("data:image/jpeg;base64,") == 6  # content, style and result of two pictures
    assert 'href="../../images/wave/photo00.jpg"' in page
    assert "there is &lt;nothing&gt;" in page
    assert "set-one in wave" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert not [uri for uri in sources if "://" in uri or uri.startswith("/")]


def test_closing_again_rewrites_the_summary(tmp_path: Path) -> None:
    ledger = planned_run(tmp_path, 2)
    first = close_ledger(ledger, 2.0).summary
    assert (first.pending, first.is_complete) == (2, False)
    finish(ledger, "made", "made")
    second = close_ledger(ledger, 5.0).summary
    assert (second.pending, second.is_complete, second.seconds) == (0, True, 5.0)
    assert read_summary(ledger) == second


def test_a_run_that_was_never_closed_has_no_summary(tmp_path: Path) -> None:
    assert read_summary(planned_run(tmp_path, 1)) is None


def test_a_run_of_nothing_closes(tmp_path: Path) -> None:
    ledger = RunLedger(Store(), f"{tmp_path}/out", "0123")
    nothing = planned_run(tmp_path / "other", 1).record
    ledger.complete_plan(nothing.model_copy(update={"planned": 0, "shards": (), "rows": 0}))
    summary = close_ledger(ledger, 0.0).summary
    assert (summary.planned, summary.is_complete, summary.images_per_second) == (0, True, 0.0)
    assert Path(ledger.uri("report.html")).exists()


def test_what_can_no_longer_be_read_leaves_its_place_empty(tmp_path: Path) -> None:
    ledger = planned_run(tmp_path, 2)
    outcomes = finish(ledger, "made", "made")
    Path(outcomes[0].content_uri).unlink()
    Path(str(outcomes[1].output_uri)).write_bytes(b"broken")
    first, second = make_cards(ledger, outcomes)
    assert first.content_thumbnail == second.result_thumbnail == b""
    assert first.result_thumbnail.startswith(b"\xff\xd8")
    assert second.content_thumbnail.startswith(b"\xff\xd8")


def test_our_own_pictures_are_shown_whatever_the_limit_for_uploads(tmp_path: Path) -> None:
    ledger = planned_run(tmp_path, 1, max_bytes=100)
    card = make_cards(ledger, finish(ledger, "made"))[0]
    assert card.content_thumbnail == b""
    assert card.result_thumbnail != b""


def test_more_outcomes_than_rows_are_a_fault(tmp_path: Path) -> None:
    ledger = planned_run(tmp_path, 1)
    with pytest.raises(AssertionError, match="2 outcomes of 1 rows"):
        summarize(ledger, survey_outcomes(many(made=2, failed=0), 1), 1.0)


def test_the_totals_in_one_line_count_what_an_earlier_session_made_as_skipped(
    tmp_path: Path,
) -> None:
    ledger = planned_run(tmp_path, 4)
    survey = survey_outcomes(many(made=2, failed=1), 4)
    summary = summarize(ledger, survey, 1.0)
    assert summary.line() == "made 2, skipped 0, failed 1, still to do 1"
    assert summary.line(made_before=2) == "made 0, skipped 2, failed 1, still to do 1"


@pytest.mark.parametrize("made", [0, 1, 120, 121, 1000])
def test_a_survey_keeps_a_hundred_odd_pictures_spread_over_the_run(made: int) -> None:
    survey = survey_outcomes(many(made=made, failed=0), made)
    kept = [int(picture.row_id) for picture in survey.pictures]
    assert min(made, 60) <= len(kept) <= 120
    assert len({b - a for a, b in zip(kept, kept[1:], strict=False)}) <= 1
    assert not made or kept[0] == 0


def test_a_survey_counts_every_failure_and_keeps_the_first_hundred() -> None:
    survey = survey_outcomes(many(made=2, failed=150), 152)
    assert survey.failed_by_code == {"missing": 150}
    assert [failure.row_id for failure in survey.failures] == [f"f{n}" for n in range(100)]
    assert survey.evaluations == 14
