"""Flow: look whether the night's run has completed."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.look_at_nights import look_at_nights


@flow(name="check-nightly")
def check_nightly() -> State[Any]:
    """Fail, in a sentence, if no nightly run completed since the last one was planned to start.

    Whoever is told of failures is told of this one too: a night that did not start says nothing
    by itself.
    """
    finding = look_at_nights()
    return Completed(message=finding.text) if finding.is_well else Failed(message=finding.text)
