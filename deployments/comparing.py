"""``score`` and ``compare``: how good a run's pictures are, and which of two runs is better."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from deployments.console import RunProgress, complain, errors, say
from deployments.environment import check_server, prepare_prefect, server_url
from deployments.running import EXIT_BROKEN, EXIT_DONE, require_run
from deployments.server_loss import ServerLostError, noticing_server_loss
from stylecore.batch.faults import job_errors
from stylecore.batch.ledger import RunLedger
from stylecore.batch.uris import absolute, check_folder, check_uri, join_uri
from stylecore.batch.votes import VoteCount, VoteFile, parse_votes
from stylecore.errors import JobError
from tasks.compare_tables import table_rows
from tasks.comparing import Comparison
from tasks.pairing import count_votes_on, name_comparison
from tasks.score_tables import score_rows
from tasks.score_totals import ScoreSummary, read_totals
from tasks.scoring import made_of, pending_scores

if TYPE_CHECKING:
    from stylecore.metrics.bootstrap import Share

_MAX_VOTES_BYTES: Final = 2**20


def score_pictures(run_uri: str) -> int:
    """Measure a run's pictures here, and print the table; returns the exit code.

    Raises:
        JobError: there is no such run, or the server does not answer.
    """
    check_server()
    ledger = require_run(run_uri)
    summary = _score(ledger)
    if summary is None:
        return EXIT_BROKEN
    say(summary.line)
    _show_table(score_rows(summary))
    say(ledger.uri("scores.json"))
    return EXIT_DONE


def compare_pictures(run_a_uri: str, run_b_uri: str, output: str | None) -> int:
    """Compare two runs, measuring what is not measured yet; returns the exit code.

    Raises:
        JobError: a run is not there, both are the same, there is no output, or the server does not
            answer.
    """
    if output is None:
        raise JobError(
            "compare needs --output FOLDER for its page, or --votes FILE to sum up votes"
        )
    check_server()
    run_a, run_b = require_run(run_a_uri), require_run(run_b_uri)
    name_comparison(run_a, run_b)
    folder = _writable(run_a, output)
    for ledger in (run_a, run_b):
        if _score(ledger) is None:
            return EXIT_BROKEN

    def start() -> Any:
        from flows.compare_runs import compare_runs

        return compare_runs(run_a.run_uri, run_b.run_uri, folder, return_state=True)

    state = _follow(start, "comparing")
    if state is None:
        return EXIT_BROKEN
    result = Comparison.model_validate(state.result())
    say(f"A {run_a.run_uri}\nB {run_b.run_uri}")
    say(f"{result.pairs} pairs; only in A {result.only_a}, only in B {result.only_b}")
    _show_table(table_rows(result))
    say(join_uri(folder, "compare.json"))
    say(join_uri(folder, "compare.html"))
    return EXIT_DONE


def sum_up_votes(
    run_a_uri: str, run_b_uri: str, votes: Sequence[str], output: str | None = None
) -> int:
    """Print what people's votes on two runs come to; returns the exit code.

    Args:
        run_a_uri: the first run, as it was compared.
        run_b_uri: the second.
        votes: files that the page saved.
        output: folder for ``preference.json``, where that is wanted.

    Raises:
        JobError: a run or a file is not there, or does not belong to the other.
    """
    run_a, run_b = require_run(run_a_uri), require_run(run_b_uri)
    files = {uri: _read_votes(run_a, uri) for uri in votes}
    count = count_votes_on(run_a, run_b, files)
    share = _share(count)
    say(f"A {run_a.run_uri}\nB {run_b.run_uri}")
    say(f"A better {count.a}, B better {count.b}, no difference {count.same}")
    if share is None:
        say("nobody preferred one of the two")
    else:
        say(
            f"B was preferred in {share.value:.1%} of {count.decided} decided votes "
            f"({share.low:.1%} to {share.high:.1%}; Wilson, 95 %)"
        )
    if output is not None:
        _write_preference(run_a, _writable(run_a, output), count, share)
    return EXIT_DONE


def _score(ledger: RunLedger) -> ScoreSummary | None:
    """The scores of a run, measured now where they are not there; None if that failed."""
    pending = pending_scores(ledger)
    summary = read_totals(ledger)
    if not pending and summary is not None:
        return summary
    todo = sum(len(made_of(ledger.outcomes_of(number))) for number in pending)

    def start() -> Any:
        from flows.score_run import score_run

        return score_run(ledger.run_uri, return_state=True)

    with RunProgress(ledger.run_uri, todo, 0).shown("scoring"):
        state = _follow(start)
    return None if state is None else read_totals(ledger)


def _follow(start: Callable[[], Any], doing: str | None = None) -> Any:
    """The state of a flow that completed, or None after saying why it did not."""
    prepare_prefect()
    where = server_url() or "Prefect's embedded server"
    try:
        with errors.status(doing) if doing else nullcontext(), noticing_server_loss():
            state = start()
    except KeyboardInterrupt:
        complain("stopped; start the same command again to go on")
        return None
    except ServerLostError as lost:
        complain(f"{lost}; start the same command again to go on")
        return None
    if not state.is_completed():
        complain(f"it did not finish ({where}): {state.message}")
        return None
    return state


def _writable(run: RunLedger, output: str) -> str:
    with job_errors("output"):
        folder = check_folder(output)
    run.store.check_writable(folder)
    return folder


def _read_votes(run: RunLedger, uri: str) -> VoteFile:
    with job_errors("votes"):
        data, _ = run.store.read_bytes(check_uri(absolute(uri)), _MAX_VOTES_BYTES)
    return parse_votes(data, uri)


def _share(count: VoteCount) -> Share | None:
    """How often B was preferred among the votes that preferred one."""
    from stylecore.metrics.bootstrap import wilson_share

    return wilson_share(count.b, count.decided) if count.decided else None


def _write_preference(run: RunLedger, folder: str, count: VoteCount, share: Share | None) -> None:
    values = {**asdict(count), "share_of_b": None if share is None else asdict(share)}
    uri = join_uri(folder, "preference.json")
    run.store.write_bytes(uri, json.dumps(values, indent=2).encode(), "application/json")
    say(uri)


def _show_table(rows: Sequence[dict[str, str]]) -> None:
    """A plain table on stdout, as wide as it is: it may be read by a script."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)] if rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())
