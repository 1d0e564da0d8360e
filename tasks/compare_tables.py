"""A comparison in words: for its page, for the dashboard, and for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stylecore.batch.comparison import MeasureRow
from stylecore.batch.ledger import RunLedger
from stylecore.batch.scores import SET_MEASURES
from tasks.score_tables import measure_label, show_figure, show_number
from tasks.score_totals import explain_measures

if TYPE_CHECKING:
    from tasks.comparing import Comparison


def measure_rows(result: Comparison) -> list[MeasureRow]:
    """A row for each measure, then the set scores of each style, which have no pairs."""
    about = explain_measures()
    rows = [
        MeasureRow(
            label=measure_label(name),
            about=about[name],
            pairs=str(measure.pairs),
            a=show_number(measure.a),
            b=show_number(measure.b),
            difference=show_figure(measure.difference),
            ratio=show_figure(measure.ratio) if measure.ratio else "",
            verdict=measure.verdict,
        )
        for name, measure in result.measures.items()
    ]
    return [*rows, *_set_rows(result, about)]


def _set_rows(result: Comparison, about: dict[str, str]) -> Iterator[MeasureRow]:
    for style, scores in result.sets.items():
        for name in SET_MEASURES:
            a, b = scores[name].a, scores[name].b
            if a is None or b is None:
                continue
            yield MeasureRow(
                label=f"{measure_label(name)} of {style}",
                about=about[name],
                pairs="sets",
                a=show_figure(a),
                b=show_figure(b),
                difference=show_number(b.value - a.value),
                ratio=show_number(b.value / a.value) if a.value else "",
                verdict="same",
            )


def table_rows(result: Comparison) -> list[dict[str, str]]:
    """The same as rows of a table."""
    return [
        {
            "measure": row.label,
            "pairs": row.pairs,
            "A": row.a,
            "B": row.b,
            "B - A": row.difference,
            "B / A": row.ratio,
            "better": {"a": "A", "b": "B", "same": ""}[row.verdict],
        }
        for row in measure_rows(result)
    ]


def describe_runs(run_a: RunLedger, run_b: RunLedger) -> dict[str, str]:
    """Facts about both runs, in the order to show them."""
    facts = {}
    for letter, run in (("A", run_a), ("B", run_b)):
        job = run.record.job
        facts[f"{letter} made by"] = f"{job.method}, preset {job.preset}, {job.max_side_px} px"
        facts[f"{letter} photographs"] = job.manifest_uri
    return facts
