"""The automations, built without a server."""

from uuid import UUID

from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger

from deployments.alerts import automations
from deployments.catalog import HEARTBEATS, UPLOAD_TRIGGER

BLOCK = UUID(int=7)
ALL = automations(BLOCK, expects_nights=True)


def trigger(automation: AutomationCore) -> EventTrigger:
    assert isinstance(automation.trigger, EventTrigger)
    return automation.trigger


def test_names_are_unique_and_say_whose_they_are() -> None:
    names = [one.name for one in ALL] + [UPLOAD_TRIGGER]
    assert len(set(names)) == len(names) == 5
    assert all(name.startswith("stylebatch: ") for name in names)
    assert all(one.description.endswith(".") for one in ALL)


def test_nobody_is_told_who_was_not_named() -> None:
    (only,) = automations(None, expects_nights=True)
    (action,) = only.actions
    assert isinstance(action, ChangeFlowRunState)
    assert len(automations(BLOCK, expects_nights=False)) == 3


def test_whoever_is_told_is_the_block_that_was_named() -> None:
    actions = [action for one in ALL for action in one.actions]
    told = [action for action in actions if isinstance(action, SendNotification)]
    assert [action.block_document_id for action in told] == [BLOCK, BLOCK, BLOCK]


def test_a_run_has_three_chances_to_give_a_sign_of_life_before_it_counts_as_dead() -> None:
    dead = trigger(ALL[0])
    every_s = int(HEARTBEATS["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    assert dead.within.total_seconds() >= 3 * every_s
    assert dead.for_each == {"prefect.resource.id"}
    assert dead.expect - dead.after == {
        f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")
    }


def test_all_of_them_concern_runs_of_our_deployments_only() -> None:
    for one in ALL:
        related = trigger(one).match_related
        for_all = related if isinstance(related, list) else [related]
        tags = [dict(found.items()).get("prefect.resource.id") for found in for_all]
        assert ["prefect.tag.stylebatch"] in tags
