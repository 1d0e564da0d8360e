"""Ports, credentials and the folder of a stack: checked before anything is started."""

import json
import socket
from pathlib import Path

import pytest
from stacks import free_port_base

from deployments.stack_files import Ports, hold_folder, write_credentials, write_secret
from stylecore.errors import JobError


@pytest.mark.parametrize("offset", [0, 5, 6, 10_000, 10_004])
def test_a_port_that_is_taken_is_named(offset: int) -> None:
    base = free_port_base()
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + offset))
        other.listen()
        with pytest.raises(JobError, match=rf"port {base + offset} is taken.*--port-base"):
            Ports(base).check()
    Ports(base).check()


@pytest.mark.parametrize("base", [-1, 0, 80, 60_000, 10**9])
def test_a_base_that_leaves_no_room_is_refused(base: int) -> None:
    with pytest.raises(JobError, match="--port-base"):
        Ports(base).check()


def test_no_port_is_used_twice() -> None:
    ports = Ports(20_000)
    assert len(set(ports.all())) == len(ports.all()) == 12
    assert {ports.s3, ports.prefect, ports.receiver} <= set(ports.all())


def test_keys_stay_and_addresses_follow_the_ports(tmp_path: Path) -> None:
    first = write_credentials(tmp_path, Ports(20_000))
    second = write_credentials(tmp_path, Ports(21_000))
    assert (second.access_key, second.secret_key) == (first.access_key, first.secret_key)
    assert (first.endpoint_url, second.endpoint_url) == (
        "http://127.0.0.1:20000",
        "http://127.0.0.1:21000",
    )
    written = json.loads((tmp_path / "credentials.json").read_text())
    assert written["prefect_api_url"] == "http://127.0.0.1:21005/api"
    assert len(first.secret_key) >= 40


def test_a_secret_is_nobody_elses_even_where_the_file_was_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text("{}")
    path.chmod(0o644)
    write_secret(path, "secret")
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, "secret")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_key": "a"}'])
def test_credentials_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials.json").write_text(text)
    with pytest.raises(JobError, match=r"credentials\.json: cannot be read; remove it"):
        write_credentials(tmp_path, Ports(20_000))


def test_a_folder_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    with hold_folder(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0
        with (
            pytest.raises(JobError, match="another `stylebatch up`"),
            hold_folder(tmp_path / "state"),
        ):
            pass
    with hold_folder(tmp_path / "state"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with (
        pytest.raises(JobError, match=r"--dir .*state: cannot be written"),
        hold_folder(tmp_path / "state"),
    ):
        pass
