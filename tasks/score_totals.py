"""``scores.json``: means, medians and intervals of a run, and of its styles with set scores."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.scores import MEASURES, SET_MEASURES, ScoreLine
from stylecore.errors import MissingError
from stylecore.settings import FrozenModel
from tasks.scoring import read_scores

if TYPE_CHECKING:
    from stylecore.metrics.sets import SetPart

_MAX_BYTES: Final = 2**24
_STYLES_KEPT: Final = 100
_NOTE: Final = (
    "Intervals are of 95 %, by bootstrap over pictures (percentiles of 2,000 resamples; of set "
    "scores: 100 resamples, moved to the value)."
)


class Figure(FrozenModel):
    """A value with its interval of 95 %; null where one picture is all there is."""

    value: float
    low: float | None
    high: float | None


class MeasureTotals(FrozenModel):
    """One measure over some pictures; those where it is not defined are not counted."""

    count: int
    mean: Figure
    median: Figure


class StyleTotals(FrozenModel):
    """The pictures of one style, and what the set of them scores."""

    pictures: int
    measures: dict[str, MeasureTotals]
    fd_vgg: Figure | None
    art_fd: Figure | None


class ScoreSummary(FrozenModel):
    """``scores.json``. Scored + unreadable = made; ``styles`` has the hundred largest."""

    run_id: str
    run_uri: str
    planned: int
    scored: int
    unreadable: int
    measures: dict[str, MeasureTotals]
    styles: dict[str, StyleTotals]
    styles_left_out: int
    about: dict[str, str]

    @property
    def line(self) -> str:
        """The counts in one line."""
        text = f"scored {self.scored} of {self.planned} pictures"
        return f"{text}, {self.unreadable} could not be read" if self.unreadable else text


@dataclass(slots=True)
class _Column:
    """The measures of some pictures, a list of plain doubles each."""

    pictures: int = 0
    values: dict[str, array[float]] = field(
        default_factory=lambda: {name: array("d") for name in MEASURES}
    )

    def add(self, line: ScoreLine) -> None:
        self.pictures += 1
        for name, values in self.values.items():
            value = getattr(line, name)
            if value is not None and math.isfinite(value):
                values.append(value)

    def totals(self) -> dict[str, MeasureTotals]:
        return {name: total_measure(values) for name, values in self.values.items() if values}


def total_measure(values: array[float] | list[float]) -> MeasureTotals:
    """Mean and median of at least one value."""
    from stylecore.metrics.bootstrap import bootstrap_estimate

    mean, median = (bootstrap_estimate(values, statistic) for statistic in ("mean", "median"))
    return MeasureTotals(count=len(values), mean=as_figure(mean), median=as_figure(median))


def as_figure(estimate: Any) -> Figure:
    """An ``Estimate`` as it is written down."""
    return Figure(**asdict(estimate))


def close_scores(ledger: RunLedger) -> ScoreSummary:
    """Write ``scores.json`` from the score files of all shards, and return it."""
    every, styles, unreadable = _Column(), dict[str, _Column](), 0
    shards: dict[str, list[int]] = {}
    for number in ledger.result_files():
        for line in read_scores(ledger, number):
            if line.error_code is not None:
                unreadable += 1
                continue
            for column in (every, styles.setdefault(line.style, _Column())):
                column.add(line)
            of_style = shards.setdefault(line.style, [])
            if number not in of_style[-1:]:
                of_style.append(number)
    kept = sorted(styles, key=lambda name: (-styles[name].pictures, name))[:_STYLES_KEPT]
    summary = ScoreSummary(
        run_id=ledger.run_id,
        run_uri=ledger.run_uri,
        planned=ledger.record.planned,
        scored=every.pictures,
        unreadable=unreadable,
        measures=every.totals(),
        styles={n: _style_totals(ledger, shards[n], styles[n]) for n in sorted(kept)},
        styles_left_out=len(styles) - len(kept),
        about={**explain_measures(), "intervals": _NOTE},
    )
    data = summary.model_dump_json(indent=2).encode()
    ledger.store.write_bytes(ledger.uri("scores.json"), data, "application/json")
    return summary


def read_totals(ledger: RunLedger) -> ScoreSummary | None:
    """The summary of the last close, or None where the run was never scored."""
    try:
        data, _ = ledger.store.read_bytes(ledger.uri("scores.json"), _MAX_BYTES)
    except MissingError:
        return None
    return ScoreSummary.model_validate_json(data)


def explain_measures() -> dict[str, str]:
    """Each measure in a sentence, and which way is better."""
    named: Mapping[str, Any] = {**MEASURES, **SET_MEASURES}
    return {
        name: f"{measure.label}, {measure.better} is better. {measure.about}"
        for name, measure in named.items()
    }


def _style_totals(ledger: RunLedger, numbers: Sequence[int], column: _Column) -> StyleTotals:
    from stylecore.metrics.sets import score_set

    scores = score_set([part for number in numbers for part in _read_parts(ledger, number)])
    return StyleTotals(
        pictures=column.pictures,
        measures=column.totals(),
        fd_vgg=as_figure(scores.fd_vgg),
        art_fd=as_figure(scores.art_fd) if scores.art_fd else None,
    )


def _read_parts(ledger: RunLedger, number: int) -> list[SetPart]:
    from stylecore.metrics.sets import decode_parts

    data, _ = ledger.store.read_bytes(ledger.uri("scores", f"{number:05d}.safetensors"))
    return decode_parts(data)
