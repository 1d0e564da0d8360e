"""Totals and report of a run, derived from its results alone, and written again at every close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.errors import MissingError
from stylecore.settings import FrozenModel

_FAILURES_KEPT: Final = 100
_PICTURES_KEPT: Final = 120
_MAX_SUMMARY_BYTES: Final = 2**20


class Summary(FrozenModel):
    """``summary.json``: made + skipped + failed + pending = planned."""

    run_id: str
    run_uri: str
    planned: int
    made: int
    skipped: int
    failed: int
    pending: int
    duplicates: int
    failed_by_code: dict[str, int]
    seconds: float
    images_per_second: float
    evaluations: int
    refined: int = 0
    refinements_rejected: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every planned row has an outcome."""
        return self.pending == 0

    def line(self, made_before: int = 0) -> str:
        """The totals in one line; what was made before this session counts as skipped by it."""
        made, skipped = self.made - made_before, self.skipped + made_before
        text = f"made {made}, skipped {skipped}, failed {self.failed}"
        return text if self.is_complete else f"{text}, still to do {self.pending}"


@dataclass(slots=True)
class Survey:
    """One pass over a run's outcomes: counts, the first failures, pictures for the report."""

    counts: Counter[str] = field(default_factory=Counter)
    failed_by_code: Counter[str] = field(default_factory=Counter)
    evaluations: int = 0
    refined: int = 0
    refinements_rejected: int = 0
    failures: list[Outcome] = field(default_factory=list)
    pictures: list[Outcome] = field(default_factory=list)


def survey_outcomes(outcomes: Iterable[Outcome], expected_pictures: int) -> Survey:
    """Count outcomes, and keep pictures evenly spread over the run.

    Args:
        outcomes: the latest of every row.
        expected_pictures: how many there may be, to space the kept ones.
    """
    survey = Survey()
    every = max(1, -(-expected_pictures // _PICTURES_KEPT))
    for outcome in outcomes:
        survey.counts[outcome.status] += 1
        survey.evaluations += outcome.evaluations or 0
        survey.refined += (outcome.refine_alpha or 0) > 0
        survey.refinements_rejected += outcome.refine_alpha == 0
        if outcome.status == "failed":
            survey.failed_by_code[outcome.error_code or "internal"] += 1
            if len(survey.failures) < _FAILURES_KEPT:
                survey.failures.append(outcome)
        elif (survey.counts["made"] + survey.counts["skipped"] - 1) % every == 0:
            survey.pictures.append(outcome)
    return survey


def summarize(ledger: RunLedger, survey: Survey, seconds: float) -> Summary:
    """Totals of a run.

    Args:
        ledger: the run.
        survey: of all its outcomes.
        seconds: wall time spent on it, earlier sessions included.

    Raises:
        AssertionError: there are more outcomes than planned rows.
    """
    record, counts = ledger.record, survey.counts
    pending = record.planned - counts.total()
    if pending < 0:
        raise AssertionError(
            f"{ledger.run_uri}: {counts.total()} outcomes of {record.planned} rows"
        )
    return Summary(
        run_id=ledger.run_id,
        run_uri=ledger.run_uri,
        planned=record.planned,
        made=counts["made"],
        skipped=counts["skipped"],
        failed=counts["failed"],
        pending=pending,
        duplicates=record.duplicates,
        failed_by_code=dict(survey.failed_by_code.most_common()),
        seconds=round(seconds, 3),
        images_per_second=round(counts["made"] / seconds, 4) if seconds > 0 else 0.0,
        evaluations=survey.evaluations,
        refined=survey.refined,
        refinements_rejected=survey.refinements_rejected,
    )


def read_summary(ledger: RunLedger) -> Summary | None:
    """The summary of the last close, or None where there was none."""
    try:
        data, _ = ledger.store.read_bytes(ledger.uri("summary.json"), _MAX_SUMMARY_BYTES)
    except MissingError:
        return None
    return Summary.model_validate_json(data)
