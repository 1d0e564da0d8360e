"""Flow: stylize every row of a manifest."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from pydantic import Field

from stylecore.batch.uris import safe_stem
from stylecore.config import StylizeJob
from tasks.engines import Place
from tasks.leaving import Budget
from tasks.plan_run import plan_run
from tasks.prune_runs import prune_old_runs
from tasks.run_shards import run_shards
from tasks.shard_work import Retry

KeepDays = Annotated[int | None, Field(ge=1, le=36_500)]


def _run_name() -> str:
    job = runtime.flow_run.parameters["job"]
    job = job if isinstance(job, StylizeJob) else StylizeJob.model_validate(job)
    styles = [safe_stem(style.uri) for style in job.styles]
    names = ", ".join(styles) if 0 < len(styles) <= 3 else f"{len(styles) or 'own'} styles"
    return f"{safe_stem(job.manifest_uri)} in {names}, {job.preset}"


@flow(name="stylize-manifest", flow_run_name=_run_name)
def stylize_manifest(
    job: StylizeJob,
    retry_passing: bool = False,
    keep_days: KeepDays = None,
) -> State[dict[str, Any]]:
    """Stylize every photograph of a manifest, or below a prefix, in every style of the job.

    Starting the same job again continues where it was, and makes nothing twice. Where the manifest
    or the prefix changed since, it is a new run, in which every row that has no picture yet is
    planned again: rows that failed before need no other retry there.

    Args:
        job: which photographs, in which styles, to where, and how.
        retry_passing: first try rows of this run again that failed for a reason that may be gone,
            at most three times in all.
        keep_days: at the end remove runs of this output that nobody wrote to for so many days, but
            no pictures; empty: keep all.
    """
    budget = Budget.starting_now(job.limits.run_minutes)
    run_uri = plan_run(job)
    retry: Retry = "passing" if retry_passing else "no"
    state = run_shards(run_uri, retry=retry, place=Place.of(job), budget=budget)
    if keep_days is not None:
        prune_old_runs(run_uri, keep_days)
    return state
