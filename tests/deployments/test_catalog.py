"""The catalog of deployments, built without a server."""

from typing import Any

import pytest
from prefect.deployments.runner import RunnerDeployment

from deployments.catalog import catalog
from stylecore.config import StylizeJob

NIGHTLY = StylizeJob(manifest_uri="s3://in/", output_uri="s3://out", preset="draft")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def test_names_are_unique() -> None:
    names = [f"{deployment.flow_name}/{deployment.name}" for deployment in catalog(None)]
    assert "stylize-manifest/nightly" in names
    assert len(set(names)) == len(names)


def test_every_field_of_every_run_form_has_a_description_and_a_place() -> None:
    fields = [field for deployment in catalog(None) for field in form_fields(deployment)]
    assert len(fields) > 30
    assert [name for name, field in fields if not field.get("description")] == []
    assert [name for name, field in fields if "position" not in field] == []


def test_places_in_a_form_are_unique_within_a_model() -> None:
    for deployment in catalog(None):
        for name, model in deployment._parameter_openapi_schema.definitions.items():
            places = [field["position"] for field in model["properties"].values()]
            assert len(set(places)) == len(places), name


@pytest.mark.parametrize(("job", "is_active"), [(None, False), (NIGHTLY, True)])
def test_the_nightly_schedule_is_active_only_with_a_job(
    job: StylizeJob | None, is_active: bool
) -> None:
    nightly = next(one for one in catalog(job) if one.name == "nightly")
    (schedule,) = nightly.schedules or []
    assert schedule.active is is_active
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "UTC")


def test_the_nightly_job_is_stored_expanded_and_is_a_job_again() -> None:
    nightly = next(one for one in catalog(NIGHTLY) if one.name == "nightly")
    assert nightly.parameters["job"]["optimize"]["num_evaluations"] == 20
    assert StylizeJob.model_validate(nightly.parameters["job"]) == NIGHTLY


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
