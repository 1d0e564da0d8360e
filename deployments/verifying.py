"""``verify``: hold a run's ledger against its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from deployments.console import complain, new_progress, say
from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store
from stylecore.batch.verifying import Finding, set_back, unnamed_pictures, verify_shard
from tasks.closing import read_summary, summarize, survey_outcomes

EXIT_TRUE: Final = 0
EXIT_UNTRUE: Final = 3
_SHOWN: Final = 20


def verify_run(run_uri: str, *, repair: bool) -> int:
    """Check every outcome of a run, and say what is not true.

    Args:
        run_uri: the run.
        repair: whether shards with such outcomes are set back; starting the job again makes
            what is missing.

    Returns:
        The exit code: 0 all true, 3 something is not, repaired or not.

    Raises:
        JobError: there is no such run.
    """
    ledger = open_ledger(Store(), run_uri)
    findings = _find(ledger)
    done = len(ledger.result_files())
    say(f"shards      {done} of {len(ledger.record.shards)} done")
    _tell(findings)
    _tell_totals(ledger)
    unnamed = sum(1 for _ in unnamed_pictures(ledger))
    if unnamed:
        say(f"unnamed     {unnamed} pictures since the plan, of other runs or of shards to be done")
    if findings and repair:
        shards = set_back(ledger, findings)
        again = f"`stylebatch retry {ledger.run_uri}` makes what is missing"
        say(f"set back    {len(shards)} of {len(ledger.record.shards)} shards; {again}")
    elif findings:
        complain("not all is true; --repair sets it back, to be made again")
    return EXIT_UNTRUE if findings else EXIT_TRUE


def _find(ledger: RunLedger) -> list[Finding]:
    files = ledger.result_files()
    rows = sum(ledger.record.shards[number].rows for number in files)
    findings: list[Finding] = []
    with new_progress() as progress:
        bar = progress.add_task("reading", total=rows, counts="")
        for number, uris in files.items():
            findings += verify_shard(ledger, number, uris, lambda: progress.advance(bar))
            progress.update(bar, counts=f"{len(findings)} not true")
    return findings


def _tell(findings: Sequence[Finding]) -> None:
    for kind, count in Counter(finding.kind for finding in findings).most_common():
        say(f"{kind:<12}{count}")
    for finding in findings[:_SHOWN]:
        say(f"  {finding}")
    if len(findings) > _SHOWN:
        say(f"  and {len(findings) - _SHOWN} more")


def _tell_totals(ledger: RunLedger) -> None:
    """The totals as the results have them, and whether the summary says the same."""
    written = read_summary(ledger)
    seconds = written.seconds if written else 0.0
    counted = summarize(ledger, survey_outcomes(ledger.outcomes(), ledger.record.planned), seconds)
    say(f"result      {counted.line()}")
    if written is not None and written.line() != counted.line():
        say(f"summary     says {written.line()}; `stylebatch report {ledger.run_uri}` corrects it")
