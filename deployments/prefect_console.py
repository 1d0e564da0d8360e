"""How Prefect's log looks on a terminal where a command runs a flow."""

from __future__ import annotations

import copy
import logging
from typing import Final

from prefect.logging.handlers import PrefectConsoleHandler

_EVENTS: Final = "prefect.events"  # of a server that is away they complain every seven seconds


class BriefConsoleHandler(PrefectConsoleHandler):
    """One line for each record: tracebacks are for the dashboard, whose handler is another."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, unless it only says that an event did not get through."""
        if record.name.startswith(_EVENTS):
            return
        brief = copy.copy(record)
        brief.exc_info, brief.exc_text, brief.stack_info = None, None, None
        super().emit(brief)
