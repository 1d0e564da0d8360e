"""Scores as rows of a table: for the dashboard, and for a person at a terminal."""

from __future__ import annotations

from typing import Final

from stylecore.batch.scores import MEASURES, SET_MEASURES
from tasks.score_totals import Figure, MeasureTotals, ScoreSummary

_ALL: Final = "all"
_ARROWS: Final = {"lower": "↓", "higher": "↑"}


def score_rows(summary: ScoreSummary) -> list[dict[str, str]]:
    """A line for each measure: of the run, then of each style where there are several."""
    rows = [
        _row(_ALL, name, summary.measures[name]) for name in MEASURES if name in summary.measures
    ]
    for style, totals in summary.styles.items():
        if len(summary.styles) > 1:
            rows += [_row(style, name, of) for name, of in totals.measures.items()]
        for name in SET_MEASURES:
            figure: Figure | None = getattr(totals, name)
            if figure is not None:
                rows.append(_set_row(style, name, figure, totals.pictures))
    return rows


def show_figure(figure: Figure) -> str:
    """``0.123 (0.100 to 0.150)``, with as many digits as tell values apart."""
    value = show_number(figure.value)
    if figure.low is None or figure.high is None:
        return value
    return f"{value} ({show_number(figure.low)} to {show_number(figure.high)})"


def show_number(value: float) -> str:
    """Three significant digits, in full where it is large; never ``-0``."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value + 0.0:.3g}"


def measure_label(name: str) -> str:
    """The measure's name with an arrow that says which way is better."""
    measure = MEASURES.get(name) or SET_MEASURES[name]
    return f"{measure.label} {_ARROWS[measure.better]}"


def _row(style: str, name: str, totals: MeasureTotals) -> dict[str, str]:
    return {
        "style": style,
        "measure": measure_label(name),
        "pictures": str(totals.count),
        "mean": show_figure(totals.mean),
        "median": show_figure(totals.median),
    }


def _set_row(style: str, name: str, figure: Figure, pictures: int) -> dict[str, str]:
    return {
        "style": style,
        "measure": f"{measure_label(name)} of the set",
        "pictures": str(pictures),
        "mean": show_figure(figure),
        "median": "",
    }
