"""What the processes of the local stack are started with; secrets stay out of command lines."""

from pathlib import Path

import pytest

from deployments.environment import stack_environment
from deployments.stack_files import Credentials, Ports, write_credentials
from deployments.stack_servers import prefect_server, receiver, runner, seaweed
from stylecore.batch.inbox import UploadsJob

JOB = UploadsJob(inbox_uri="s3://inbox", output_uri="s3://outbox", preset="fine")


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    (tmp_path / "s3").mkdir()
    return write_credentials(tmp_path, Ports(20_000))


def test_no_command_line_shows_a_secret(tmp_path: Path, credentials: Credentials) -> None:
    ports = Ports(20_000)
    specs = [
        seaweed(tmp_path, ports, credentials, "the-token"),
        prefect_server(tmp_path, ports, credentials),
        runner(tmp_path, credentials, JOB),
        receiver(tmp_path, ports, credentials, "s3://inbox", "the-token"),
    ]
    for spec in specs:
        words = " ".join(spec.command)
        assert "the-token" not in words
        assert credentials.secret_key not in words
        assert credentials.access_key not in words
    for name in ("s3.json", "notification.toml"):
        assert (tmp_path / "s3" / name).stat().st_mode & 0o777 == 0o600
    assert [credentials.secret_key in spec.environment.values() for spec in specs] == [
        False,
        False,
        True,
        False,
    ]


def test_runs_of_the_stack_give_a_sign_of_life_often_enough_for_the_automation(
    tmp_path: Path, credentials: Credentials
) -> None:
    environment = runner(tmp_path, credentials, JOB).environment
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


def test_patience_with_all_processes_is_less_than_half_a_minute(
    tmp_path: Path, credentials: Credentials
) -> None:
    ports = Ports(20_000)
    specs = [
        seaweed(tmp_path, ports, credentials, "t"),
        prefect_server(tmp_path, ports, credentials),
        runner(tmp_path, credentials, JOB),
        receiver(tmp_path, ports, credentials, "s3://inbox", "t"),
    ]
    assert sum(spec.patience_s for spec in specs) <= 28


def test_the_stack_knows_neither_the_users_credentials_nor_another_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "PREFECT_API_KEY", "STYLEBATCH_EVENT_TOKEN"):
        monkeypatch.setenv(name, "somebody's")
    environment = stack_environment({"AWS_ACCESS_KEY_ID": "ours"})
    assert "somebody's" not in environment.values()
    assert environment["AWS_ACCESS_KEY_ID"] == "ours"
    assert "PATH" in environment
