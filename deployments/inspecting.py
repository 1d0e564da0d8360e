"""``plan``, ``status`` and ``report``: what would be done, and what was."""

from __future__ import annotations

from deployments.console import say
from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from tasks.closing import read_summary, summarize, survey_outcomes
from tasks.preparing import preview_run


def show_plan(job: StylizeJob) -> int:
    """Say what a run would do; writes nothing, and returns exit code 0 also where it finds rejects.

    Raises:
        JobError: the request is wrong.
    """
    preview = preview_run(Store(), job)
    scan, estimate = preview.scan, preview.estimate
    rejected = sum(scan.rejected.values())
    say(f"rows        {scan.rows}")
    say(f"styles      {len(scan.styles)}")
    say(f"pictures    {scan.planned}")
    say(f"duplicates  {scan.duplicates}")
    say(f"rejects     {rejected}")
    for code, count in scan.rejected.most_common():
        say(f"  {code}: {count}")
    for example in scan.reject_examples:
        say(f"  {example}")
    say(f"shards      {preview.shards}")
    say(f"time        about {_rough(estimate.seconds)} ({estimate.basis})")
    say(f"memory      about {estimate.memory_bytes / 1e9:.1f} GB")
    say(f"run id      {preview.run_id}")
    return 0


def show_status(run_uri: str) -> None:
    """Totals of a run as its ledger has them, finished or not.

    Raises:
        JobError: there is no such run.
    """
    ledger = open_ledger(Store(), run_uri)
    record, done = ledger.record, ledger.result_files()
    summary = summarize(ledger, survey_outcomes(ledger.outcomes(), record.planned), 0.0)
    under_way = _pictures_under_way(ledger, set(done))
    say(f"run         {ledger.run_uri}")
    say(f"planned     {record.planned} pictures in {len(record.shards)} shards")
    say(f"duplicates  {record.duplicates}")
    say(f"shards done {len(done)} of {len(record.shards)}")
    say(f"result      {summary.line()}")
    for code, count in summary.failed_by_code.items():
        say(f"  {code}: {count}")
    if under_way:
        say(f"under way   {under_way} pictures in unfinished shards have an outcome")


def write_report(run_uri: str) -> None:
    """Write a run's summary and report again from its results.

    Raises:
        JobError: there is no such run.
    """
    from tasks.reporting import close_ledger

    ledger = open_ledger(Store(), run_uri)
    before = read_summary(ledger)
    closing = close_ledger(ledger, before.seconds if before else 0.0)
    say(closing.summary.line())
    say(ledger.uri("report.html"))


def _pictures_under_way(ledger: RunLedger, done: set[int]) -> int:
    words = ledger.read_progress()
    return sum(int(word["done"]) for shard, word in words.items() if shard not in done)


def _rough(seconds: float) -> str:
    for limit, unit, size in ((120, "seconds", 1), (7200, "minutes", 60), (172800, "hours", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"
