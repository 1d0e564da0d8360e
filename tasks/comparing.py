"""Compares the scored pictures of two runs: ``compare.json``, and the page to vote on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, Literal

from stylecore.batch.comparison import MAX_PAIRS, BlindPair, ComparisonPage, render_comparison
from stylecore.batch.ledger import RunLedger
from stylecore.batch.scores import MEASURES, ScoreLine
from stylecore.batch.uris import join_uri
from stylecore.batch.votes import shows_a_left
from stylecore.config import OutputSettings
from stylecore.errors import RowError
from stylecore.images.codec import decoded, encode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.settings import FrozenModel
from tasks.compare_tables import describe_runs, measure_rows
from tasks.pairing import Pair, name_comparison, pair_up
from tasks.preparing import decode_limits
from tasks.reading import OUTPUT_LIMITS
from tasks.score_totals import Figure, as_figure, explain_measures, read_totals
from tasks.scoring import read_scores

_SIDE_PX: Final = 384
_SOURCE_SIDE_PX: Final = 128
_QUALITY: Final = OutputSettings(format="jpeg", quality=80)
_READERS: Final = 4
Side = Literal["a", "b"]
Verdict = Literal["a", "b", "same"]


class ComparedMeasure(FrozenModel):
    """One measure over the pairs for which both runs have it.

    Attributes:
        pairs: how many.
        a: mean of the first run.
        b: mean of the second.
        difference: mean of b - a over pairs.
        median_difference: its median.
        ratio: median of b / a over pairs with a > 0; null without such pairs.
        verdict: which run is better, where the interval of the mean difference leaves out zero.
    """

    pairs: int
    a: float
    b: float
    difference: Figure
    median_difference: Figure
    ratio: Figure | None
    verdict: Verdict


class SetPair(FrozenModel):
    """A set score of both runs; null where it is not defined."""

    a: Figure | None
    b: Figure | None


class BlindSide(FrozenModel):
    """What a pair of the page is, and which run it shows on the left."""

    pair: str
    row_id: str
    content_uri: str
    style: str
    left: Side


class Comparison(FrozenModel):
    """``compare.json``."""

    comparison: str
    run_a_uri: str
    run_b_uri: str
    pairs: int
    only_a: int
    only_b: int
    measures: dict[str, ComparedMeasure]
    sets: dict[str, dict[str, SetPair]]
    blind: tuple[BlindSide, ...]
    about: dict[str, str]


def compare_ledgers(run_a: RunLedger, run_b: RunLedger, output_uri: str) -> Comparison:
    """Write ``compare.json`` and ``compare.html`` into a folder.

    Args:
        run_a: a scored run.
        run_b: another one; differences are its figures minus the first one's.
        output_uri: normalised folder.

    Raises:
        JobError: the runs are the same, or have no picture in common.
    """
    comparison = name_comparison(run_a, run_b)
    lines = [list(_scored(run)) for run in (run_a, run_b)]
    pairs = pair_up(comparison, *lines)
    result = Comparison(
        comparison=comparison,
        run_a_uri=run_a.run_uri,
        run_b_uri=run_b.run_uri,
        pairs=len(pairs),
        only_a=len(lines[0]) - len(pairs),
        only_b=len(lines[1]) - len(pairs),
        measures=compare_measures(pairs),
        sets=_compare_sets(run_a, run_b),
        blind=tuple(_side(comparison, pair) for pair in pairs[:MAX_PAIRS]),
        about=explain_measures(),
    )
    page = ComparisonPage(
        comparison=comparison,
        run_a_uri=run_a.run_uri,
        run_b_uri=run_b.run_uri,
        facts=describe_runs(run_a, run_b),
        measures=measure_rows(result),
        pairs=_blind_pairs(run_a, comparison, pairs),
    )
    store, html = run_a.store, render_comparison(page).encode()
    store.write_bytes(join_uri(output_uri, "compare.html"), html, "text/html; charset=utf-8")
    data = result.model_dump_json(indent=2).encode()
    store.write_bytes(join_uri(output_uri, "compare.json"), data, "application/json")
    return result


def compare_measures(pairs: Sequence[Pair[ScoreLine]]) -> dict[str, ComparedMeasure]:
    """Paired figures of every measure that both runs have for a pair at least."""
    found = {}
    for name in MEASURES:
        both = [(getattr(pair.a, name), getattr(pair.b, name)) for pair in pairs]
        known = [(a, b) for a, b in both if a is not None and b is not None]
        finite = [(a, b) for a, b in known if math.isfinite(a) and math.isfinite(b)]
        if finite:
            found[name] = _compare(name, finite)
    return found


def _compare(name: str, values: Sequence[tuple[float, float]]) -> ComparedMeasure:
    from stylecore.metrics.bootstrap import bootstrap_estimate

    differences = [b - a for a, b in values]
    ratios = [b / a for a, b in values if a > 0]
    difference = as_figure(bootstrap_estimate(differences))
    return ComparedMeasure(
        pairs=len(values),
        a=sum(a for a, _ in values) / len(values),
        b=sum(b for _, b in values) / len(values),
        difference=difference,
        median_difference=as_figure(bootstrap_estimate(differences, "median")),
        ratio=as_figure(bootstrap_estimate(ratios, "median")) if ratios else None,
        verdict=_verdict(name, difference),
    )


def _verdict(name: str, difference: Figure) -> Verdict:
    if difference.low is None or difference.high is None:
        return "same"
    if difference.low <= 0 <= difference.high:
        return "same"
    is_larger_better = MEASURES[name].better == "higher"
    return "b" if (difference.low > 0) == is_larger_better else "a"


def _compare_sets(run_a: RunLedger, run_b: RunLedger) -> dict[str, dict[str, SetPair]]:
    """Set scores by style, of the whole of each run."""
    totals_a, totals_b = read_totals(run_a), read_totals(run_b)
    if totals_a is None or totals_b is None:
        return {}
    found = {}
    for style in totals_a.styles.keys() & totals_b.styles.keys():
        a, b = totals_a.styles[style], totals_b.styles[style]
        fd_vgg = SetPair(a=a.fd_vgg, b=b.fd_vgg)
        found[style] = {"fd_vgg": fd_vgg, "art_fd": SetPair(a=a.art_fd, b=b.art_fd)}
    return dict(sorted(found.items()))


def _scored(run: RunLedger) -> Iterator[ScoreLine]:
    for number in run.result_files():
        yield from read_scores(run, number)


def _side(comparison: str, pair: Pair[ScoreLine]) -> BlindSide:
    return BlindSide(
        pair=pair.id,
        row_id=pair.a.row_id,
        content_uri=pair.a.content_uri,
        style=pair.a.style,
        left="a" if shows_a_left(comparison, pair.id) else "b",
    )


def _blind_pairs(
    run_a: RunLedger, comparison: str, pairs: Sequence[Pair[ScoreLine]]
) -> list[BlindPair]:
    """Pairs whose two pictures can be read, as thumbnails."""
    limits = decode_limits(run_a.record.job)
    paintings = {style.name: style.uris[0] for style in run_a.record.styles}
    store = run_a.store

    def shrink(uri: str, limits: DecodeLimits, side_px: int) -> bytes:
        try:
            with decoded(store.read_bytes(uri, limits.max_bytes)[0], uri, limits) as image:
                return encode_image(resize_content(image, side_px), _QUALITY)
        except RowError:
            return b""

    @cache
    def painting(style: str) -> bytes:
        return shrink(paintings[style], limits, _SOURCE_SIDE_PX)

    def load(pair: Pair[ScoreLine]) -> BlindPair:
        sides = [shrink(line.output_uri, OUTPUT_LIMITS, _SIDE_PX) for line in (pair.a, pair.b)]
        left, right = sides if shows_a_left(comparison, pair.id) else sides[::-1]
        content = shrink(pair.a.content_uri, limits, _SOURCE_SIDE_PX)
        return BlindPair(pair.id, pair.a.style, content, painting(pair.a.style), left, right)

    return [pair for pair in _in_threads(load, pairs[:MAX_PAIRS]) if pair.left and pair.right]


def _in_threads(
    load: Callable[[Pair[ScoreLine]], BlindPair], pairs: Sequence[Pair[ScoreLine]]
) -> list[BlindPair]:
    with ThreadPoolExecutor(_READERS, thread_name_prefix="thumbnail") as pool:
        return list(pool.map(load, pairs))
