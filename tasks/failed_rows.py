"""Tell the Prefect server of a run that finished with failed rows: its state is Completed."""

from __future__ import annotations

from typing import Final

from prefect import runtime
from prefect.events import emit_event

from stylecore.batch.ledger import RunLedger
from tasks.closing import Summary

FAILED_ROWS_EVENT: Final = "stylebatch.run.failed-rows"


def tell_failed_rows(ledger: RunLedger, summary: Summary) -> None:
    """Emit an event on the flow run, for an automation to pass on; nothing where no row failed."""
    if summary.failed == 0 or runtime.flow_run.id is None:
        return
    emit_event(
        FAILED_ROWS_EVENT,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{runtime.flow_run.id}",
            "prefect.resource.name": str(runtime.flow_run.name),
        },
        payload={
            "run": str(runtime.flow_run.name),
            "counts": summary.line(),
            "failed_by_code": describe_codes(summary.failed_by_code),
            "report_uri": ledger.uri("report.html"),
            "run_uri": ledger.run_uri,
        },
    )


def describe_codes(failed_by_code: dict[str, int]) -> str:
    """Failures by code, in words, the most frequent first."""
    return ", ".join(f"{count} {code}" for code, count in failed_by_code.items())
