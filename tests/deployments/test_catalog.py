"""The catalog of deployments, built without a server."""

from typing import Any

import pytest
from prefect.deployments.runner import RunnerDeployment

from deployments.catalog import catalog
from deployments.nightly import Nightly
from stylecore.config import StylizeJob
from stylecore.errors import JobError

JOB = StylizeJob(manifest_uri="s3://in/", output_uri="s3://out", preset="draft")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def test_names_are_unique() -> None:
    names = [f"{deployment.flow_name}/{deployment.name}" for deployment in catalog(Nightly())]
    assert "stylize-manifest/nightly" in names
    assert len(set(names)) == len(names)


def test_every_field_of_every_run_form_has_a_description_and_a_place() -> None:
    fields = [field for deployment in catalog(Nightly()) for field in form_fields(deployment)]
    assert len(fields) > 30
    assert [name for name, field in fields if not field.get("description")] == []
    assert [name for name, field in fields if "position" not in field] == []


def test_places_in_a_form_are_unique_within_a_model() -> None:
    for deployment in catalog(Nightly()):
        for name, model in deployment._parameter_openapi_schema.definitions.items():
            places = [field["position"] for field in model["properties"].values()]
            assert len(set(places)) == len(places), name


@pytest.mark.parametrize(("job", "is_active"), [(None, False), (JOB, True)])
def test_the_nightly_schedule_is_active_only_with_a_job(
    job: StylizeJob | None, is_active: bool
) -> None:
    nightly = next(one for one in catalog(Nightly(job)) if one.name == "nightly")
    (schedule,) = nightly.schedules or []
    assert schedule.active is is_active
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "UTC")


def test_the_nightly_job_is_stored_expanded_and_is_a_job_again() -> None:
    nightly = next(one for one in catalog(Nightly(JOB)) if one.name == "nightly")
    assert nightly.parameters["job"]["optimize"]["num_evaluations"] == 20
    assert StylizeJob.model_validate(nightly.parameters["job"]) == JOB


def test_a_schedule_has_its_own_time_zone_and_parameters() -> None:
    nightly = Nightly(JOB, cron="30 1 * * 1-5", timezone="Europe/Berlin", keep_days=30)
    deployment = next(one for one in catalog(nightly) if one.name == "nightly")
    (schedule,) = deployment.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("30 1 * * 1-5", "Europe/Berlin")
    assert schedule.parameters == {"retry_passing": True, "keep_days": 30}
    assert deployment.parameters.keys() == {"job"}


def test_a_nightly_run_that_is_still_going_keeps_the_next_from_starting() -> None:
    nightly = next(one for one in catalog(Nightly(JOB)) if one.name == "nightly")
    assert nightly.concurrency_limit == 1
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"


@pytest.mark.parametrize(
    ("nightly", "match"),
    [
        (Nightly(JOB, cron="at two"), "--cron 'at two'.*'0 2"),
        (Nightly(JOB, timezone="Berlin"), "--timezone Berlin.*Europe/Berlin"),
        (Nightly(JOB, timezone="../etc/passwd"), "no such time zone"),
        (Nightly(JOB, timezone=""), "no such time zone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_in_words(nightly: Nightly, match: str) -> None:
    with pytest.raises(JobError, match=match):
        nightly.check()


def form_fields(deployment: RunnerDeployment) -> list[tuple[str, dict[str, Any]]]:
    schema = deployment._parameter_openapi_schema
    models = {"": schema.properties} | {
        name: model["properties"] for name, model in schema.definitions.items()
    }
    return [
        (f"{deployment.name}:{model}.{name}", field)
        for model, fields in models.items()
        for name, field in fields.items()
    ]
