"""Sweep an inbox inside a flow run: look, make what is left, look again until nothing is new."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from stylecore.batch.fingerprint import digest_of
from stylecore.batch.inbox import UploadsJob, check_uploads_job
from stylecore.batch.uris import join_uri
from tasks.closing import read_summary
from tasks.engines import Place
from tasks.markdown import plain
from tasks.publish import report_line
from tasks.retrying import is_worth_a_retry
from tasks.run_shards import run_shards
from tasks.server_calls import shown_if_possible
from tasks.storage import open_run, store
from tasks.uploads import find_work, settle_run

_REASONS_SHOWN: Final = 200


@dataclass(slots=True)
class Sweep:
    """What a sweep has done so far, and what its last look found."""

    job: UploadsJob
    counts: Counter[str] = field(default_factory=Counter)
    run_uris: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def num_waiting(self) -> int:
        """Photographs of styles that cannot be made yet."""
        return sum(count for count, _ in self.found["waiting"].values())

    def line(self) -> str:
        """The totals in one line."""
        counts, names = self.counts, ("made", "skipped", "failed")
        parts = [f"{name} {counts[name]}" for name in names if counts[name] or name == "made"]
        if self.num_waiting:
            parts.append(f"waiting {self.num_waiting}")
        return ", ".join(parts)


@task(
    name="look",
    task_run_name="look into the inbox",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
)
def look(job: UploadsJob, tries_again: bool) -> dict[str, Any]:
    """Find and plan what is left of an inbox; safe to retry, since the same is found again.

    Args:
        job: which inbox.
        tries_again: whether uploads that failed with a passing fault are due.
    """
    return find_work(store(), job, tries_again=tries_again).as_dict()


@task(
    name="settle",
    task_run_name="note failures",
    retries=2,
    retry_delay_seconds=[2, 10],
    cache_policy=NO_CACHE,
)
def settle(run_uri: str) -> dict[str, int]:
    """Note the failures of a run; safe to retry, since the same notes are written again."""
    ledger = open_run(run_uri)
    settle_run(store(), ledger)
    summary = read_summary(ledger)
    return {} if summary is None else summary.model_dump(include={"made", "skipped", "failed"})


def sweep_inbox(job: UploadsJob) -> State[dict[str, Any]]:
    """Make every upload that is left, as one run for each style.

    Uploads that arrive meanwhile are made too: a sweep that is asked for while another one is at
    work would be cancelled.

    Returns:
        Completed, also where uploads failed or wait; Failed if a run was left undone.

    Raises:
        JobError: the inbox or the output cannot be read.
    """
    sweep = Sweep(check_uploads_job(job))
    sweep.found = look(sweep.job, tries_again=True)
    while sweep.found["runs"] and not sweep.problems:
        for run_uri in sweep.found["runs"]:
            _make(sweep, run_uri)
        # What failed in this sweep is for a later one.
        sweep.found = look(sweep.job, tries_again=False) if not sweep.problems else sweep.found
    _publish(sweep)
    _name_run(sweep)
    for style, (count, reason) in sweep.found["waiting"].items():
        get_run_logger().info("%d photographs wait for style %s: %s", count, style, reason)
    if sweep.problems:
        return Failed(message=f"{sweep.line()}; {sweep.problems[0]}")
    return Completed(message=sweep.line(), data={**sweep.counts, "waiting": sweep.num_waiting})


def _make(sweep: Sweep, run_uri: str) -> None:
    state = run_shards(run_uri, place=Place(sweep.job.device))
    sweep.run_uris.append(run_uri)
    if state.is_completed():
        sweep.counts.update(settle(run_uri))
    else:
        sweep.problems.append(f"{run_uri}: {state.message}")


def _name_run(sweep: Sweep) -> None:
    """Tell in the flow run's name what came of it: most sweeps find nothing."""
    came = sweep.line() if sweep.run_uris or sweep.num_waiting else "nothing new"
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:  # it is but a name
        name = f"uploads in {sweep.job.inbox_uri}: {came}"
        client.update_flow_run(UUID(runtime.flow_run.id), name=name)


def _publish(sweep: Sweep) -> None:
    """A summary for the dashboard, where there is something to tell."""
    if not (sweep.run_uris or sweep.found["waiting"]):
        return
    with shown_if_possible("the summary"):
        create_markdown_artifact(
            key=f"uploads-{digest_of([sweep.job.inbox_uri, sweep.job.output_uri])[:16]}",
            markdown="\n".join(summary_lines(sweep)),
            description=sweep.line(),
        )


def summary_lines(sweep: Sweep) -> list[str]:
    """What a sweep made, what waits and why, and what it cannot make sense of, as Markdown."""
    lines = [f"# {sweep.line()}", "", f"{sweep.found['num_photographs']} photographs in the inbox."]
    if sweep.run_uris:
        reports = [join_uri(uri, "report.html") for uri in sweep.run_uris]
        lines += ["", *(f"- {report_line(store(), uri)}" for uri in reports)]
    if sweep.problems:
        lines += ["", *(f"- **not finished** {plain(problem)}" for problem in sweep.problems)]
    waiting = list(sweep.found["waiting"].items())[:_REASONS_SHOWN]
    if waiting:
        lines += ["", "| style | photographs waiting | for |", "|---|---|---|"]
        lines += [f"| {plain(name)} | {count} | {plain(why)} |" for name, (count, why) in waiting]
    if sweep.found["ignored"]:
        names = ", ".join(plain(name) for name in sweep.found["ignored"])
        lines += ["", f"Neither style nor photograph of one: {names}"]
    return lines
