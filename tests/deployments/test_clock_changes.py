"""The nightly schedule in the nights in which the clocks are changed: once each night."""

import asyncio
from datetime import date, datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule
from reliability import See

from deployments.catalog import Occasions, catalog
from deployments.nightly import Nightly
from stylecore.config import StylizeJob

pytestmark = [pytest.mark.slow, pytest.mark.reliability]

JOB = StylizeJob(manifest_uri="s3://in/", output_uri="s3://out", preset="draft")
BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"  # which changes by half an hour
CRONS = ("45 1 * * *", "0 2 * * *", "30 2 * * *", "0 3 * * *")
NIGHTS = 7


def nights(cron: str, zone: str, first: date) -> list[datetime]:
    """When Prefect's server starts the nightly run that the catalog registers."""
    nightly = Nightly(JOB, cron=cron, timezone=zone)
    found = next(one for one in catalog(Occasions(nightly)) if one.name == "nightly")
    (schedule,) = found.schedules or []
    registered = CronSchedule.model_validate(schedule.schedule.model_dump())
    start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    return asyncio.run(registered.get_dates(NIGHTS, start))


@pytest.mark.parametrize(
    ("zone", "firsts"),
    [
        (BERLIN, [date(2027, 3, 25), date(2027, 10, 28)]),
        (LORD_HOWE, [date(2027, 4, 1), date(2027, 9, 30)]),
    ],
)
def test_a_change_of_the_clocks_neither_skips_nor_doubles_a_night(
    monkeypatch: pytest.MonkeyPatch, seen: See, zone: str, firsts: list[date]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    hours: set[float] = set()
    for first, cron in product(firsts, CRONS):
        found = nights(cron, zone, first)
        there = [moment.astimezone(ZoneInfo(zone)) for moment in found]
        assert [one.date() for one in there] == [first + timedelta(days=n) for n in range(NIGHTS)]
        assert len({one.utcoffset() for one in there}) == 2, "the clocks were changed meanwhile"
        times = [moment.timestamp() for moment in found]
        hours |= {(after - before) / 3600 for before, after in pairwise(times)}
    seen(
        f"the clocks are changed in {zone}, in spring and in autumn",
        "one nightly run in every night, whether it is due in the hour that is missing or doubled",
        f"{min(hours):g} to {max(hours):g} h between two",
    )
