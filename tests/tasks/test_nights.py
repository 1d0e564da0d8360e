"""What a look at the nights says, judged without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.nights import Night, judge_nights

TWO = datetime(2026, 11, 25, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def night(
    due: datetime = TWO, state: str = "Completed", *, hours: float | None = 1, planned: bool = True
) -> Night:
    ended = None if hours is None else due + timedelta(hours=hours)
    return Night(f"{state} run", due, state, ended, planned, state == "Completed")


def test_a_night_whose_planned_run_completed_is_well() -> None:
    finding = judge_nights([night(), night(TWO - DAY)], is_scheduled=True)
    assert finding.is_well
    assert finding.text == "the nightly run Completed run completed at 2026-11-25 03:00 UTC"


@pytest.mark.parametrize("state", ["Late", "Running", "Failed", "Crashed", "Cancelled"])
def test_a_night_that_did_not_complete_is_told_with_its_state(state: str) -> None:
    finding = judge_nights([night(state=state, hours=None), night(TWO - DAY)], is_scheduled=True)
    assert not finding.is_well
    assert finding.text.startswith(
        "no nightly run has completed since 2026-11-25 02:00 UTC, when one was planned: "
        f"{state} run is {state}."
    )


def test_a_run_that_somebody_started_afterwards_makes_up_for_it() -> None:
    by_hand = night(TWO + timedelta(hours=3), planned=False)
    assert judge_nights([by_hand, night(state="Failed")], is_scheduled=True).is_well


def test_a_run_of_the_night_before_that_ended_in_this_one_counts() -> None:
    long = night(TWO - DAY, hours=25)
    assert judge_nights([night(state="Cancelled"), long], is_scheduled=True).is_well


def test_a_run_that_somebody_started_before_does_not_count() -> None:
    early = night(TWO - timedelta(hours=3), planned=False)
    assert not judge_nights([night(state="Late", hours=None), early], is_scheduled=True).is_well


def test_before_the_first_night_there_is_nothing_to_miss() -> None:
    assert judge_nights([], is_scheduled=True).text == "no nightly run was due yet"
    assert judge_nights([night(state="Failed", planned=False)], is_scheduled=True).is_well


def test_a_schedule_that_is_gone_or_off_is_told_too() -> None:
    finding = judge_nights([night()], is_scheduled=False)
    assert not finding.is_well
    assert "no active schedule" in finding.text
    assert "stylebatch deploy --nightly JOB.yaml" in finding.text
