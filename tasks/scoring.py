"""Scores a run's pictures shard by shard; what a shard's files cover is not measured again.

scores/00000.parquet       measures of every made picture of the shard; written last
scores/00000.safetensors   what set scores are made of, for some groups of its pictures
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.scores import MEASURES, ScoreLine, decode_scores, encode_scores
from stylecore.errors import MissingError, RowError, RunStoppedError
from stylecore.images.codec import decode_image
from tasks.devices import device_slot
from tasks.painting import load_style
from tasks.progress import BOARD, Tally
from tasks.reading import OUTPUT_LIMITS

if TYPE_CHECKING:
    from stylecore.metrics.judge import Judgement, StyleJudge

# Pictures of a shard are put into so many groups for set scores; up to then, each is its own.
_GROUPS: Final = 16
_KNOWN: Final = tuple(name for name in MEASURES if name not in ("fdrl", "swdl"))


def pending_scores(ledger: RunLedger) -> list[int]:
    """Shards with results whose made pictures are not all scored: new ones, and retried ones."""
    return [
        number
        for number, files in ledger.result_files().items()
        if {_key(line) for line in read_scores(ledger, number)}
        != {_key(outcome) for outcome in made_of(ledger.outcomes_of(number, files))}
    ]


def made_of(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes that have a picture which this run made."""
    return [outcome for outcome in outcomes if outcome.status == "made"]


def read_scores(ledger: RunLedger, number: int) -> Iterator[ScoreLine]:
    """The scored pictures of a shard; none where it was not scored yet."""
    try:
        data, _ = ledger.store.read_bytes(ledger.uri("scores", f"{number:05d}.parquet"))
    except MissingError:
        return
    yield from decode_scores(data)


def score_shard(ledger: RunLedger, number: int, stop: threading.Event) -> int:
    """Measure every made picture of a shard and write its score files.

    Args:
        ledger: the run.
        number: the shard.
        stop: asked before each picture.

    Returns:
        How many pictures were measured.

    Raises:
        RunStoppedError: the flag was set; the shard stays to be scored.
        RowError: the store failed in a way that may pass.
        JobError: a painting changed after the run was planned.
    """
    outcomes = made_of(ledger.outcomes_of(number))
    groups: list[list[tuple[Judgement, float | None]]] = [[] for _ in range(_GROUPS)]
    lines: list[ScoreLine] = []
    if outcomes:
        with device_slot(ledger.record.job.device) as device:
            judge = _build_judge(ledger, number, device)
            for index, outcome in enumerate(outcomes):
                if stop.is_set():
                    raise RunStoppedError("the scoring was asked to stop")
                found = judge if isinstance(judge, RowError) else _judge(ledger, judge, outcome)
                lines.append(_line(outcome, found))
                BOARD.post(ledger.run_uri, number, Tally(made=len(lines)))
                if not isinstance(found, RowError):
                    groups[index % _GROUPS].append((found, outcome.lpips_content))
    _write(ledger, number, lines, [group for group in groups if group])
    return len(lines)


def _build_judge(ledger: RunLedger, number: int, device: str) -> StyleJudge | RowError:
    """What measures the shard's style, or why its paintings cannot be read any more.

    Paintings count as a whole: masks say which part a method took, not what the painting is.
    """
    from stylecore.metrics.judge import StyleJudge

    record = ledger.record
    style = record.styles[record.shards[number].style_index]
    try:
        loaded = load_style(ledger.store, record.job, style)
    except RowError as error:
        if error.is_passing:
            raise
        return error
    if not loaded.paintings:
        return MissingError(style.style().uri, "the run names no painting to measure against")
    scale = record.job.optimize.style_scale if record.job.method == "optimize" else 1.0
    return StyleJudge([painting.pixels for painting in loaded.paintings], scale, device)


def _judge(ledger: RunLedger, judge: StyleJudge, outcome: Outcome) -> Judgement | RowError:
    uri = outcome.output_uri or ""
    try:
        data, _ = ledger.store.read_bytes(uri, OUTPUT_LIMITS.max_bytes)
        return judge.judge(decode_image(data, uri, OUTPUT_LIMITS))
    except RowError as error:
        if error.is_passing:
            raise
        return error


def _line(outcome: Outcome, found: Judgement | RowError) -> ScoreLine:
    line = ScoreLine(
        row_id=outcome.row_id,
        content_uri=outcome.content_uri,
        style=outcome.style,
        output_uri=outcome.output_uri or "",
        output_sha256=outcome.output_sha256,
        **{name: getattr(outcome, name) for name in _KNOWN},
    )
    if isinstance(found, RowError):
        return replace(line, error_code=found.code)
    return replace(line, fdrl=found.fdrl, swdl=found.swdl)


def _write(
    ledger: RunLedger,
    number: int,
    lines: list[ScoreLine],
    groups: list[list[tuple[Judgement, float | None]]],
) -> None:
    from stylecore.metrics.sets import encode_parts, join_pictures

    parts = [
        join_pictures([(found.picture, found.paintings, lpips) for found, lpips in group])
        for group in groups
    ]
    ledger.store.write_bytes(ledger.uri("scores", f"{number:05d}.safetensors"), encode_parts(parts))
    # Last: its presence means that the shard is scored.
    ledger.store.write_bytes(ledger.uri("scores", f"{number:05d}.parquet"), encode_scores(lines))


def _key(line: ScoreLine | Outcome) -> tuple[str, str | None]:
    return line.row_id, line.output_sha256
