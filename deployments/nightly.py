"""When the nightly run is started, and with what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from stylecore.config import StylizeJob, without_preset
from stylecore.errors import JobError

DEFAULT_CRON: Final = "0 2 * * *"
DEFAULT_TIMEZONE: Final = "UTC"
_HOUR: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Nightly:
    """A job for every night.

    Attributes:
        job: what to stylize; None: nothing is scheduled, and a person gives a job at the start.
        cron: when.
        timezone: of ``cron`` and ``expect_by``, by its IANA name: clock changes included.
        keep_days: runs that nobody wrote to for so many days are removed; None: none is.
        expect_by: hour and minute, as HH:MM, by which the run of the night must have completed;
            None: nobody looks.
    """

    job: StylizeJob | None = None
    cron: str = DEFAULT_CRON
    timezone: str = DEFAULT_TIMEZONE
    keep_days: int | None = None
    expect_by: str | None = None

    def check_times(self) -> None:
        """Check the time zone and the hour, at once and without Prefect.

        Raises:
            JobError: there is no such time zone, or no such hour.
        """
        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise JobError(
                f"--timezone {self.timezone}: no such time zone; give its IANA name, such as "
                "Europe/Berlin"
            ) from error
        if self.expect_by is not None and not _HOUR.fullmatch(self.expect_by):
            raise JobError(f"--expect-by {self.expect_by}: no such hour; give HH:MM, such as 06:30")

    def check_cron(self) -> None:
        """Check what a server would find wrong only later.

        Raises:
            JobError: there is no such time.
        """
        from prefect.schedules import Cron

        try:
            Cron(self.cron)
        except ValueError as error:
            raise JobError(
                f"--cron {self.cron!r}: not a cron line; give minute, hour, day of the month, "
                "month and day of the week, such as '0 2 * * *'"
            ) from error

    @property
    def parameters(self) -> dict[str, Any]:
        """What every start has in common; the run form shows it.

        What the preset says is left open, so that another preset can be chosen in the form. What a
        night does besides is here too: Prefect drops a schedule's own parameters when it is paused.
        """
        return {} if self.job is None else {"job": without_preset(self.job), **self.habits}

    @property
    def habits(self) -> dict[str, Any]:
        """What a night does besides its job; a person who starts one may want otherwise."""
        return {"retry_passing": True, "keep_days": self.keep_days}

    @property
    def expect_cron(self) -> str | None:
        """``expect_by`` as a cron line."""
        found = _HOUR.fullmatch(self.expect_by or "")
        return None if found is None else f"{int(found[2])} {int(found[1])} * * *"
