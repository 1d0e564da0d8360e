"""The catalog of deployments, built without a server."""

from importlib.metadata import version
from typing import Any

import pytest
from prefect.deployments.runner import RunnerDeployment

from deployments.catalog import EVERYTHING, Occasions, catalog, uploads_deployment
from deployments.nightly import Nightly
from stylecore.batch.inbox import UploadsJob
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from tasks.child_runs import DEPLOYMENT as CHILD

INBOX = UploadsJob(inbox_uri="s3://inbox", output_uri="s3://outbox", preset="fine")
JOB = StylizeJob(manifest_uri="s3://in/", output_uri="s3://out", preset="draft")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def names(occasions: Occasions) -> list[str]:
    return [deployment.full_name for deployment in catalog(occasions)]


def nightly_of(nightly: Nightly) -> RunnerDeployment:
    return next(one for one in catalog(Occasions(nightly)) if one.name == "nightly")


def test_names_are_unique() -> None:
    assert sorted(names(EVERYTHING)) == sorted(set(names(EVERYTHING)))


def test_what_is_not_asked_for_is_not_there_and_what_a_person_starts_always_is() -> None:
    trainings = ("train-refiner", "train-generator", "train-arbitrary", "train-translator")
    others = ("retry-run", "score-run", "compare-runs")
    on_demand = {f"{flow}/on-demand" for flow in (*trainings, *others)}
    always = {"stylize-manifest/nightly", "stylize-shards/child", *on_demand}
    assert set(names(Occasions())) == always
    more = {"stylize-uploads/on-upload", "check-nightly/by-hour"}
    assert set(names(EVERYTHING)) == {*names(Occasions()), *more}


def test_every_field_of_every_run_form_has_a_description_and_a_place() -> None:
    forms = [one for one in catalog(EVERYTHING) if one.full_name != CHILD]  # for runs, not people
    fields = [field for deployment in forms for field in form_fields(deployment)]
    assert len(fields) > 60
    assert [name for name, field in fields if not field.get("description")] == []
    assert [name for name, field in fields if "position" not in field] == []


def test_every_deployment_says_what_it_does_and_is_of_this_version_in_the_work_pool() -> None:
    for deployment in catalog(EVERYTHING):
        assert str(deployment.description).endswith(".")
        assert (deployment.version, deployment.work_pool_name) == (
            version("stylebatch"),
            "stylebatch",
        )
        assert deployment.tags == ["stylebatch"]
        assert deployment.job_variables == {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}}


def test_places_in_a_form_are_unique_within_a_model() -> None:
    for deployment in catalog(EVERYTHING):
        if deployment.full_name == CHILD:
            continue
        for name, model in deployment._parameter_openapi_schema.definitions.items():
            places = [field["position"] for field in model["properties"].values()]
            assert len(set(places)) == len(places), name


def test_the_nightly_run_has_a_schedule_only_with_a_job() -> None:
    assert nightly_of(Nightly()).schedules == []
    (schedule,) = nightly_of(Nightly(JOB)).schedules or []
    assert schedule.active is True
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "UTC")


def test_the_check_is_at_the_hour_in_the_time_zone_of_the_night() -> None:
    nightly = Nightly(JOB, timezone="Europe/Berlin", expect_by="6:05")
    check = next(one for one in catalog(Occasions(nightly)) if one.flow_name == "check-nightly")
    (schedule,) = check.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("5 6 * * *", "Europe/Berlin")


def test_the_sweep_runs_every_minute_and_after_events_and_never_beside_another() -> None:
    deployment = uploads_deployment(INBOX)
    (schedule,) = deployment.schedules or []
    assert (schedule.schedule.interval.total_seconds(), schedule.active) == (60, True)
    assert deployment.concurrency_limit == 1
    assert deployment.concurrency_options is not None
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert UploadsJob.model_validate(deployment.parameters["job"]) == INBOX
    (trigger,) = deployment.triggers
    assert trigger.expect == {"stylebatch.upload"}
    assert trigger.within.total_seconds() == trigger.schedule_after.total_seconds() == 30


def test_the_nightly_job_leaves_open_what_its_preset_says_and_is_a_job_again() -> None:
    nightly = nightly_of(Nightly(JOB))
    assert nightly.parameters["job"]["optimize"]["num_evaluations"] is None
    assert StylizeJob.model_validate(nightly.parameters["job"]) == JOB


def test_a_schedule_has_its_own_time_zone_and_parameters() -> None:
    nightly = Nightly(JOB, cron="30 1 * * 1-5", timezone="Europe/Berlin", keep_days=30)
    deployment = nightly_of(nightly)
    (schedule,) = deployment.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("30 1 * * 1-5", "Europe/Berlin")
    assert schedule.parameters == {"retry_passing": True, "keep_days": 30}
    # Pausing a schedule drops its own: then the deployment's hold.
    assert deployment.parameters.keys() == {"job", "retry_passing", "keep_days"}
    assert deployment.parameters["keep_days"] == 30


def test_a_nightly_run_that_is_still_going_keeps_the_next_from_starting() -> None:
    nightly = nightly_of(Nightly(JOB))
    assert nightly.concurrency_limit == 1
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"


@pytest.mark.parametrize(
    ("nightly", "match"),
    [
        (Nightly(JOB, cron="at two"), "--cron 'at two'.*'0 2"),
        (Nightly(JOB, timezone="Berlin"), "--timezone Berlin.*Europe/Berlin"),
        (Nightly(JOB, timezone="../etc/passwd"), "no such time zone"),
        (Nightly(JOB, expect_by="25:00"), "--expect-by 25:00.*HH:MM"),
        (Nightly(JOB, expect_by="6"), "--expect-by 6"),
        (Nightly(JOB, timezone=""), "no such time zone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_in_words(nightly: Nightly, match: str) -> None:
    with pytest.raises(JobError, match=match):
        check(nightly)


def check(nightly: Nightly) -> None:
    nightly.check_times()
    nightly.check_cron()


def form_fields(deployment: RunnerDeployment) -> list[tuple[str, dict[str, Any]]]:
    schema = deployment._parameter_openapi_schema
    models = {"": schema.properties} | {
        name: model["properties"] for name, model in schema.definitions.items()
    }
    return [
        (f"{deployment.full_name}:{model}.{name}", field)
        for model, fields in models.items()
        for name, field in fields.items()
    ]
