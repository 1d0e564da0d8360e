"""When the nightly run is started, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from stylecore.config import StylizeJob
from stylecore.errors import JobError

DEFAULT_CRON: Final = "0 2 * * *"
DEFAULT_TIMEZONE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class Nightly:
    """A job for every night.

    Attributes:
        job: what to stylize; None: the schedule is there, but paused.
        cron: when.
        timezone: of ``cron``, by its IANA name: clock changes included.
        keep_days: runs that nobody wrote to for so many days are removed; None: none is.
    """

    job: StylizeJob | None = None
    cron: str = DEFAULT_CRON
    timezone: str = DEFAULT_TIMEZONE
    keep_days: int | None = None

    def check(self) -> None:
        """Check what a server would find wrong only later.

        Raises:
            JobError: there is no such time or time zone.
        """
        from prefect.schedules import Cron

        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise JobError(
                f"--timezone {self.timezone}: no such time zone; give its IANA name, such as "
                "Europe/Berlin"
            ) from error
        try:
            Cron(self.cron)
        except ValueError as error:
            raise JobError(
                f"--cron {self.cron!r}: not a cron line; give minute, hour, day of the month, "
                "month and day of the week, such as '0 2 * * *'"
            ) from error

    @property
    def parameters(self) -> dict[str, Any]:
        """What every start has in common; the run form shows it."""
        return {} if self.job is None else {"job": self.job.model_dump(mode="json")}

    @property
    def schedule_parameters(self) -> dict[str, Any]:
        """What only the schedule's starts have: a person who starts one may want otherwise."""
        return {"retry_passing": True, "keep_days": self.keep_days}

    @property
    def state(self) -> str:
        """What ``deploy`` says of it."""
        if self.job is None:
            return "paused: give --nightly JOB.yaml to schedule it"
        kept = "" if self.keep_days is None else f", runs kept for {self.keep_days} days"
        return f"scheduled at {self.cron} {self.timezone}{kept}"
