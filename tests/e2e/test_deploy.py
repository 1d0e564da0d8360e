"""``deploy`` against a real server: what it registers, and that doing it again changes nothing."""

from pathlib import Path
from typing import Any

import pytest
from buckets import Workplace
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from sample_images import GREAT_WAVE

pytestmark = pytest.mark.e2e


def registered(workplace: Workplace) -> dict[str, dict[str, Any]]:
    """The server's deployments by name, and its work pools."""
    settings = temporary_settings({PREFECT_API_URL: workplace.prefect_url})
    with settings, get_client(sync_client=True) as client:
        deployments = client.read_deployments()
        pools = client.read_work_pools()
    # Prefect itself turns an empty list of pull steps into none on the second writing.
    found = {one.name: one.model_dump(exclude={"updated", "pull_steps"}) for one in deployments}
    for one in found.values():
        one["schedules"] = [(s["schedule"], s["active"]) for s in one["schedules"]]
    return {**found, "pools": {pool.name: pool.id for pool in pools}}


@pytest.fixture
def nightly(workplace: Workplace) -> Path:
    path = workplace.home / "nightly.yaml"
    path.write_text(
        f"manifest_uri: s3://inbox/nightly/\nstyles: [{GREAT_WAVE}]\n"
        "output_uri: s3://outbox/nightly\npreset: draft\n"
    )
    return path


def test_deploy_registers_a_paused_nightly_run_and_does_so_again_without_a_copy(
    workplace: Workplace,
) -> None:
    first = workplace.stylebatch("deploy")
    assert first.code == 0, first
    assert first.lines[0].startswith("stylize-manifest/nightly  paused")
    once = registered(workplace)
    second = workplace.stylebatch("deploy")
    assert (second.code, second.stdout) == (0, first.stdout)
    twice = registered(workplace)
    assert once.keys() == {"nightly", "on-demand", "pools"}
    assert "stylebatch" in once["pools"]
    assert [active for _, active in once["nightly"]["schedules"]] == [False]
    assert twice == once


def test_deploy_with_a_job_file_schedules_it_with_the_expanded_job(
    workplace: Workplace, nightly: Path
) -> None:
    answer = workplace.stylebatch("deploy", "--nightly", str(nightly))
    assert answer.code == 0, answer
    assert answer.lines[0] == "stylize-manifest/nightly  scheduled at 0 2 * * * UTC"
    deployment = registered(workplace)["nightly"]
    assert [active for _, active in deployment["schedules"]] == [True]
    job = deployment["parameters"]["job"]
    assert (job["preset"], job["optimize"]["num_evaluations"]) == ("draft", 20)
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["entrypoint"] == "flows.stylize_manifest.stylize_manifest"


def test_deploy_registers_the_time_zone_and_the_schedules_own_parameters(
    workplace: Workplace, nightly: Path
) -> None:
    options = ("--cron", "15 3 * * *", "--timezone", "Europe/Berlin", "--keep-days", "30")
    for _ in range(2):
        answer = workplace.stylebatch("deploy", "--nightly", str(nightly), *options)
        assert answer.code == 0, answer
        assert answer.lines[0].endswith("at 15 3 * * * Europe/Berlin, runs kept for 30 days")
        with (
            temporary_settings({PREFECT_API_URL: workplace.prefect_url}),
            get_client(sync_client=True) as client,
        ):
            deployment = client.read_deployment_by_name("stylize-manifest/nightly")
        (schedule,) = deployment.schedules
        assert (schedule.schedule.cron, schedule.schedule.timezone) == (
            "15 3 * * *",
            "Europe/Berlin",
        )
        assert schedule.parameters == {"retry_passing": True, "keep_days": 30}
        assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"


def test_a_schedule_without_a_job_is_refused(workplace: Workplace) -> None:
    answer = workplace.stylebatch("deploy", "--timezone", "Europe/Berlin")
    assert (answer.code, answer.stdout) == (2, "")
    assert "--timezone: for the nightly run; give its job too" in answer.stderr


def test_a_nightly_job_is_stored_with_whole_paths_for_a_worker_has_a_folder_of_its_own(
    workplace: Workplace,
) -> None:
    (workplace.home / "here.yaml").write_text(
        "manifest_uri: photos/\nstyles: [a/style.jpg]\noutput_uri: out\n"
    )
    answer = workplace.stylebatch("deploy", "--nightly", "here.yaml")
    assert answer.code == 0, answer
    job = registered(workplace)["nightly"]["parameters"]["job"]
    assert job["manifest_uri"] == f"{workplace.home}/photos/"
    assert [style["uri"] for style in job["styles"]] == [f"{workplace.home}/a/style.jpg"]
    assert job["output_uri"] == f"{workplace.home}/out"


def test_the_run_form_of_a_registered_deployment_explains_the_job(workplace: Workplace) -> None:
    assert workplace.stylebatch("deploy").code == 0
    schema = registered(workplace)["nightly"]["parameter_openapi_schema"]
    assert schema["properties"]["job"]["description"].startswith("which photographs")
    assert schema["definitions"]["StylizeJob"]["properties"]["max_side_px"]["maximum"] == 8192
