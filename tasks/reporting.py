"""The report of a run: thumbnails are made here, the page is stylecore.batch.report's."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from stylecore.batch.ledger import RunLedger
from stylecore.batch.outcome import Outcome
from stylecore.batch.report import FailureLine, PictureCard, Report, Totals, render_report
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri, safe_stem
from stylecore.config import OutputSettings
from stylecore.errors import RowError
from stylecore.images.codec import decoded, encode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from tasks.closing import Summary, Survey, summarize, survey_outcomes
from tasks.preparing import decode_limits
from tasks.reading import OUTPUT_LIMITS

_RESULT_SIDE_PX: Final = 320
_SOURCE_SIDE_PX: Final = 160
_QUALITY: Final = OutputSettings(format="jpeg", quality=80)
_READERS: Final = 4
_log = logging.getLogger(__name__)
_FIGURES: Final = (
    "total_loss",
    "content_loss",
    "style_loss",
    "lpips_content",
    "ssim_content",
    "refine_alpha",
)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a close wrote."""

    summary: Summary
    pictures: Sequence[PictureCard]


def close_ledger(ledger: RunLedger, seconds: float) -> Closing:
    """Write ``summary.json`` and ``report.html`` from the results; both may be written again.

    Args:
        ledger: the run.
        seconds: wall time spent on it, over all sessions.
    """
    _remove_leftovers(ledger)
    survey = survey_outcomes(ledger.outcomes(), ledger.record.planned)
    summary = summarize(ledger, survey, seconds)
    cards = make_cards(ledger, survey.pictures)
    page = render_report(_report(ledger, summary, survey, cards))
    ledger.store.write_bytes(ledger.uri("report.html"), page.encode(), "text/html; charset=utf-8")
    data = summary.model_dump_json(indent=2).encode()
    ledger.store.write_bytes(ledger.uri("summary.json"), data, "application/json")
    return Closing(summary, cards)


def _remove_leftovers(ledger: RunLedger) -> None:
    """Tidy up after processes that were killed while they wrote."""
    store, output = ledger.store, ledger.output_uri
    try:
        for folder in (output, ledger.uri("claims")):
            store.remove_leftovers(folder)
        for folder in ("runs", *_style_folders(ledger)):
            store.remove_leftovers(join_uri(output, folder), below=True)
    except RowError as error:  # the next close may
        _log.warning("leftovers of killed processes stay: %s", error)


def _style_folders(ledger: RunLedger) -> Iterator[str]:
    names = {style.name for style in ledger.record.styles}
    for kind in ("images", "timelapse", "failures"):
        yield from (f"{kind}/{name}" for name in names)


def make_cards(ledger: RunLedger, outcomes: Sequence[Outcome]) -> list[PictureCard]:
    """Content, style and result of each outcome as thumbnails, read again from the bucket."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="thumbnail") as pool:
        return list(pool.map(lambda outcome: _card(ledger, outcome), outcomes))


def _card(ledger: RunLedger, outcome: Outcome) -> PictureCard:
    limits = decode_limits(ledger.record.job)
    output_uri = outcome.output_uri or ""
    painting_uri = outcome.style_uri.partition(" + ")[0]
    return PictureCard(
        row_id=outcome.row_id,
        style=outcome.style,
        output_href=posixpath.relpath(output_uri, ledger.run_uri) if output_uri else None,
        content_thumbnail=_thumbnail(ledger.store, outcome.content_uri, limits, _SOURCE_SIDE_PX),
        style_thumbnail=_painting(ledger.store, painting_uri, limits),
        result_thumbnail=_thumbnail(ledger.store, output_uri, OUTPUT_LIMITS, _RESULT_SIDE_PX),
        figures={name: getattr(outcome, name) for name in _FIGURES},
    )


def _thumbnail(store: Store, uri: str, limits: DecodeLimits, side_px: int) -> bytes:
    """A small JPEG; no bytes where the picture cannot be read any more."""
    try:
        data, _ = store.read_bytes(uri, limits.max_bytes)
        with decoded(data, uri, limits) as image:
            return encode_image(resize_content(image, side_px), _QUALITY)
    except RowError:
        return b""


@lru_cache(maxsize=64)
def _painting(store: Store, uri: str, limits: DecodeLimits) -> bytes:
    return _thumbnail(store, uri, limits, _SOURCE_SIDE_PX)


def _report(
    ledger: RunLedger, summary: Summary, survey: Survey, cards: Sequence[PictureCard]
) -> Report:
    return Report(
        run_id=ledger.run_id,
        run_uri=ledger.run_uri,
        title=f"{safe_stem(ledger.record.job.manifest_uri)} in {_styles_in_words(ledger)}",
        job={**_job_facts(ledger), **_refinement_facts(ledger, summary)},
        totals=Totals(
            planned=summary.planned,
            made=summary.made,
            skipped=summary.skipped,
            failed=summary.failed,
            duplicates=summary.duplicates,
            seconds=summary.seconds,
            images_per_second=summary.images_per_second or None,
        ),
        failed_by_code=summary.failed_by_code,
        failures=[_failure(outcome) for outcome in survey.failures],
        pictures=cards,
    )


def _styles_in_words(ledger: RunLedger) -> str:
    names = [style.name for style in ledger.record.styles]
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} styles"


def _job_facts(ledger: RunLedger) -> dict[str, str]:
    record = ledger.record
    job = record.job
    facts = {
        "Manifest": job.manifest_uri,
        "Styles": _styles_in_words(ledger),
        "Method": job.method,
        "Preset": job.preset,
        "Longest side": f"{job.max_side_px} px",
    }
    if job.method == "optimize":
        facts["Evaluations"] = str(job.optimize.num_evaluations)
        facts["Network"] = job.optimize.encoder
    if job.generator is not None:
        facts["Generator"] = job.generator.uri
    if job.then is not None:
        facts["Evaluations then"] = str(job.then.optimize.num_evaluations)
    return {**facts, "Planned": f"{record.created_at:%Y-%m-%d %H:%M} UTC"}


def _refinement_facts(ledger: RunLedger, summary: Summary) -> dict[str, str]:
    refine = ledger.record.job.refine
    if refine is None:
        return {}
    tried = summary.refined + summary.refinements_rejected
    return {"Refiner": refine.uri, "Refined": f"{summary.refined} of {tried} pictures"}


def _failure(outcome: Outcome) -> FailureLine:
    return FailureLine(
        row_id=outcome.row_id,
        style=outcome.style,
        content_uri=outcome.content_uri,
        error_code=outcome.error_code or "internal",
        error_message=outcome.error_message or "",
        attempt=outcome.attempt,
    )
