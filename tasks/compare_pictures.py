"""Task: compare two scored runs."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.compare_tables import table_rows
from tasks.comparing import compare_ledgers
from tasks.retrying import is_worth_a_retry
from tasks.server_calls import shown_if_possible
from tasks.storage import open_run


@task(
    name="compare",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=is_worth_a_retry,
    cache_policy=NO_CACHE,
)
def compare_pictures(run_a_uri: str, run_b_uri: str, output_uri: str) -> dict[str, Any]:
    """Write ``compare.json`` and the page; safe to retry, for both are derived.

    Args:
        run_a_uri: a scored run.
        run_b_uri: another one.
        output_uri: folder for both files.
    """
    result = compare_ledgers(open_run(run_a_uri), open_run(run_b_uri), output_uri)
    with shown_if_possible("the comparison"):
        create_table_artifact(
            key=f"comparison-{result.comparison}",
            table=table_rows(result),
            description=f"{result.pairs} pairs of {run_a_uri} (A) and {run_b_uri} (B)",
        )
    return result.model_dump(mode="json")
