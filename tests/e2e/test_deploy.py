"""``deploy`` against a real server: what it registers, and that doing it again changes nothing."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import registrations
from buckets import Workplace
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from sample_images import GREAT_WAVE
from typer.testing import CliRunner

from deployments.catalog import nightly_deployment
from deployments.cli import app
from deployments.nightly import Nightly
from deployments.reconciling import Wanted, reconcile
from tasks.server_limit import limit_name

pytestmark = pytest.mark.e2e

NIGHTLY = "stylize-manifest/nightly"
UPLOADS = "stylize-uploads/on-upload"
CHECK = "check-nightly/by-hour"


@pytest.fixture
def nightly(workplace: Workplace) -> Path:
    path = workplace.home / "nightly.yaml"
    path.write_text(
        f"manifest_uri: s3://inbox/nightly/\nstyles: [{GREAT_WAVE}]\n"
        "output_uri: s3://outbox/nightly\npreset: draft\n"
    )
    return path


@pytest.fixture
def everything(workplace: Workplace, nightly: Path) -> list[str]:
    """Options that register everything there is."""
    uploads = workplace.home / "uploads.yaml"
    uploads.write_text("inbox_uri: s3://inbox\noutput_uri: s3://outbox\nmax_side_px: 64\n")
    block = CustomWebhookNotificationBlock(name="ops", url="http://127.0.0.1:9/")
    block.save("ops", overwrite=True)
    Secret(value="quiet").save("mute", overwrite=True)
    options = {"--notify": "custom-webhook/ops", "--expect-by": "06:30", "--gpus": "here=2"}
    words = [word for pair in options.items() for word in pair]
    return ["--nightly", str(nightly), "--uploads", str(uploads), *words]


@pytest.fixture(autouse=True)
def _in_the_workplace(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a shell there has; most calls are made in this process, which imports but once."""
    monkeypatch.setenv("PREFECT_API_URL", workplace.prefect_url)
    monkeypatch.chdir(workplace.home)
    with temporary_settings({PREFECT_API_URL: workplace.prefect_url}):
        yield


def deploy(*options: str) -> list[str]:
    answer = CliRunner().invoke(app, ["deploy", *options], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output.splitlines()


def changes(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("unchanged ")]


def test_deploy_a_second_time_says_unchanged_of_everything_and_writes_nothing(
    workplace: Workplace, everything: list[str]
) -> None:
    first = workplace.stylebatch("deploy", *everything)
    assert first.code == 0, first
    url = workplace.prefect_url
    assert registrations.deployments(url) >= {NIGHTLY, UPLOADS, CHECK, "retry-run/on-demand"}
    assert len(registrations.automations(url)) == 5
    before = registrations.everything(url)
    again = workplace.stylebatch("deploy", *everything)
    assert (again.code, changes(again.lines)) == (0, [])
    assert len(again.lines) == 21
    assert registrations.everything(url) == before


def test_a_dry_run_says_what_deploy_says_then_and_writes_nothing(
    workplace: Workplace, everything: list[str]
) -> None:
    deploy()
    before = registrations.everything(workplace.prefect_url)
    first, *told = deploy(*everything, "--dry-run")
    assert first.startswith("dry run: ")
    assert registrations.everything(workplace.prefect_url) == before
    assert told == deploy(*everything)
    assert f"created    deployment {UPLOADS}" in told
    assert f"changed (parameters)  deployment {NIGHTLY}" in told


def test_without_a_job_the_nightly_run_can_be_started_and_has_no_schedule(
    workplace: Workplace, nightly: Path
) -> None:
    deploy("--nightly", str(nightly))
    (schedule,) = registrations.deployment(workplace.prefect_url, NIGHTLY)["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (True, "0 2 * * *")
    lines = deploy()
    assert f"removed    schedule {NIGHTLY} at 0 2 * * * UTC" in lines
    found = registrations.deployment(workplace.prefect_url, NIGHTLY)
    assert (found["schedules"], found["parameters"], found["paused"]) == ([], {}, False)


def test_another_hour_replaces_the_old_one_and_the_same_hour_stays_the_same_schedule(
    workplace: Workplace, nightly: Path
) -> None:
    url, night = workplace.prefect_url, ["--nightly", str(nightly)]
    deploy(*night)
    (before,) = registrations.deployment(url, NIGHTLY)["schedules"]
    options = ("--cron", "15 3 * * *", "--timezone", "Europe/Berlin")
    assert changes(deploy(*night, *options)) == [
        f"created    schedule {NIGHTLY} at 15 3 * * * Europe/Berlin",
        f"removed    schedule {NIGHTLY} at 0 2 * * * UTC",
    ]
    (after,) = registrations.deployment(url, NIGHTLY)["schedules"]
    assert (after["schedule"]["cron"], after["schedule"]["timezone"]) == (
        "15 3 * * *",
        "Europe/Berlin",
    )
    assert after["parameters"] == {"retry_passing": True, "keep_days": None}
    assert changes(deploy(*night, *options, "--keep-days", "30")) == [
        f"changed (parameters)  deployment {NIGHTLY}",
        f"changed (parameters)  schedule {NIGHTLY} at 15 3 * * * Europe/Berlin",
    ]
    (kept,) = registrations.deployment(url, NIGHTLY)["schedules"]
    assert kept["parameters"] == {"retry_passing": True, "keep_days": 30}
    assert before["id"] != after["id"] == kept["id"]


def test_a_schedule_that_somebody_added_by_hand_is_removed_and_named(
    workplace: Workplace, nightly: Path
) -> None:
    url, night = workplace.prefect_url, ["--nightly", str(nightly)]
    deploy(*night)
    registered = registrations.deployment(url, NIGHTLY)
    added = {"schedule": {"cron": "5 5 * * *", "timezone": "UTC"}, "active": True}
    path = f"{url}/deployments/{registered['id']}/schedules"
    registrations.ask("POST", path, [added])
    assert changes(deploy(*night)) == [f"removed    schedule {NIGHTLY} at 5 5 * * * UTC"]
    assert registrations.deployment(url, NIGHTLY)["schedules"] == registered["schedules"]


def test_what_is_left_out_now_is_removed_and_named(
    workplace: Workplace, everything: list[str]
) -> None:
    url = workplace.prefect_url
    deploy(*everything)
    lines = deploy()
    assert f"removed    deployment {UPLOADS}" in lines
    assert f"removed    deployment {CHECK}" in lines
    assert "removed    automation stylebatch: an upload starts a sweep" in lines
    assert {UPLOADS, CHECK} & registrations.deployments(url) == set()
    assert registrations.automations(url) == {"stylebatch: a dead run is marked as crashed"}


def test_a_schedule_that_somebody_paused_stays_paused(workplace: Workplace, nightly: Path) -> None:
    url, night = workplace.prefect_url, ["--nightly", str(nightly)]
    deploy(*night)
    registered = registrations.deployment(url, NIGHTLY)
    (schedule,) = registered["schedules"]
    path = f"{url}/deployments/{registered['id']}/schedules/{schedule['id']}"
    registrations.ask("PATCH", path, {"active": False})
    # Prefect drops a schedule's parameters when it is switched: those come back.
    assert [line for line in changes(deploy(*night)) if "(parameters)" not in line] == []
    (schedule,) = registrations.deployment(url, NIGHTLY)["schedules"]
    assert schedule["active"] is False
    assert schedule["parameters"]["retry_passing"] is True


def test_a_work_pool_is_nobodys_to_remove(workplace: Workplace) -> None:
    deploy()
    settings = temporary_settings({PREFECT_API_URL: workplace.prefect_url})
    with settings, get_client(sync_client=True) as client:
        served = [nightly_deployment(Nightly())]
        served[0].work_pool_name = None  # as `up` serves it
        changes = reconcile(client, Wanted(served, {}), is_dry_run=False)
        assert client.read_work_pool("stylebatch").type == "process"
    assert "work pool" not in {change.thing.kind for change in changes}


def test_what_somebody_changed_by_hand_is_set_back_and_named(workplace: Workplace) -> None:
    url = workplace.prefect_url
    deploy()
    id_ = registrations.deployment(url, NIGHTLY)["id"]
    change = {"description": "mine", "concurrency_limit": 7}
    registrations.ask("PATCH", f"{url}/deployments/{id_}", change)
    assert changes(deploy()) == [f"changed (description, concurrency_limit)  deployment {NIGHTLY}"]
    found = registrations.deployment(url, NIGHTLY)
    assert (found["id"], found["global_concurrency_limit"]["limit"]) == (id_, 1)
    assert found["description"].startswith("Stylize a manifest")


def test_limits_are_as_given_and_those_of_other_hosts_are_left_alone(
    workplace: Workplace,
) -> None:
    url, here = workplace.prefect_url, limit_name()  # what a shard asks for
    deploy("--gpus", f"{socket.gethostname()}=2")
    assert registrations.limits(url)[here] == 2
    deploy("--gpus", "big=8", "--gpus", "small.local=1")
    lines = deploy("--gpus", "big=4")
    assert "changed (limit)  concurrency limit gpu:big  4 at once" in lines
    found = registrations.limits(url)
    assert (found["gpu:big"], found["gpu:small.local"]) == (4, 1)
    assert here in found
    kept = registrations.everything(url)["limits"]
    decay = {one["name"]: one["slot_decay_per_second"] for one in kept}
    assert decay["gpu:big"] == 0.0  # anything else would be a rate limit, without leases


def test_a_block_that_is_not_there_is_told_with_the_way_to_make_one(
    workplace: Workplace, everything: list[str]
) -> None:
    before = registrations.everything(workplace.prefect_url)
    answer = workplace.stylebatch("deploy", "--notify", "slack-webhook/nobody")
    assert (answer.code, answer.stdout) == (2, "")
    for words in ("slack-webhook/nobody", "no such block", "Blocks", ".save('nobody')"):
        assert words in answer.stderr
    answer = workplace.stylebatch("deploy", "--notify", "secret/mute")
    assert answer.code == 2
    assert "secret/mute: a block of this type notifies nobody" in answer.stderr
    assert registrations.everything(workplace.prefect_url) == before


def test_a_job_file_is_registered_expanded_with_one_run_at_a_time(
    workplace: Workplace, nightly: Path
) -> None:
    deploy("--nightly", str(nightly))
    found = registrations.deployment(workplace.prefect_url, NIGHTLY)
    job = found["parameters"]["job"]
    assert (job["preset"], job["optimize"]["num_evaluations"]) == ("draft", None)
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["entrypoint"] == "flows.stylize_manifest.stylize_manifest"
    assert (found["work_pool_name"], found["path"]) == ("stylebatch", None)


def test_jobs_are_stored_with_whole_paths_for_a_worker_has_a_folder_of_its_own(
    workplace: Workplace,
) -> None:
    (workplace.home / "here.yaml").write_text(
        "manifest_uri: photos/\nstyles: [a/style.jpg]\noutput_uri: out\n"
    )
    (workplace.home / "inbox.yaml").write_text("inbox_uri: in\noutput_uri: out\n")
    deploy("--nightly", "here.yaml", "--uploads", "inbox.yaml")
    job = registrations.deployment(workplace.prefect_url, NIGHTLY)["parameters"]["job"]
    assert job["manifest_uri"] == f"{workplace.home}/photos/"
    assert [style["uri"] for style in job["styles"]] == [f"{workplace.home}/a/style.jpg"]
    assert job["output_uri"] == f"{workplace.home}/out"
    uploads = registrations.deployment(workplace.prefect_url, UPLOADS)["parameters"]["job"]
    assert (uploads["inbox_uri"], uploads["output_uri"]) == (
        f"{workplace.home}/in",
        f"{workplace.home}/out",
    )


def test_the_run_form_of_a_registered_deployment_explains_the_job(workplace: Workplace) -> None:
    deploy()
    schema = registrations.deployment(workplace.prefect_url, NIGHTLY)["parameter_openapi_schema"]
    assert schema["properties"]["job"]["description"].startswith("which photographs")
    assert schema["definitions"]["StylizeJob"]["properties"]["max_side_px"]["maximum"] == 8192
