"""What killed processes leave behind, and that nothing of the living is taken for it."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from stylecore.batch.leftovers import PREFIX, is_abandoned, temporary_name
from stylecore.batch.scratch import scratch_folder
from stylecore.batch.store import Store

NAME = "from stylecore.batch.leftovers import temporary_name; print(temporary_name())"


@pytest.fixture(scope="module")
def dead_name() -> str:
    """A temporary name of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def elsewhere(name: str) -> str:
    """The same name as another machine would give it."""
    pid, started, _, unique = name.removeprefix(PREFIX).split("-")
    return f"{PREFIX}{pid}-{started}-{'0' * 8}-{unique}"


def test_names_of_the_living_are_in_use_however_old() -> None:
    assert not is_abandoned(temporary_name(), 10**9)


def test_names_of_the_dead_are_abandoned_at_once(dead_name: str) -> None:
    assert is_abandoned(dead_name, 0.0)


def test_a_process_that_has_the_number_of_a_dead_one_is_not_that_one() -> None:
    pid, started, rest = temporary_name().removeprefix(PREFIX).split("-", 2)
    assert is_abandoned(f"{PREFIX}{pid}-{int(started) + 1}-{rest}", 0.0)


def test_names_of_another_machine_are_abandoned_after_an_hour(dead_name: str) -> None:
    assert not is_abandoned(elsewhere(dead_name), 3500)
    assert is_abandoned(elsewhere(dead_name), 3700)


@pytest.mark.parametrize("name", ["photo.jpg", ".stylebatch-mine", ".hidden", PREFIX, ""])
def test_other_names_are_nobodys_leftovers(name: str) -> None:
    assert not is_abandoned(name, 10**9)


@pytest.mark.parametrize("where", ["local", pytest.param("s3", marks=pytest.mark.e2e)])
def test_leftovers_in_a_folder_go_and_everything_else_stays(
    where: str, request: pytest.FixtureRequest, tmp_path: Path, dead_name: str
) -> None:
    folder = str(tmp_path)
    if where == "s3":
        request.getfixturevalue("s3_environment")
        folder = f"s3://outbox/{uuid4().hex}"
    store = Store()
    stay = ["photo.jpg", ".hidden", temporary_name(), elsewhere(dead_name), f"sub/{dead_name}"]
    for name in (*stay, dead_name):
        store.write_bytes(f"{folder}/{name}", b"")
    assert store.remove_leftovers(folder) == 1
    assert not store.exists(f"{folder}/{dead_name}")
    assert all(store.exists(f"{folder}/{name}") for name in stay)


def test_below_a_local_folder_they_go_too(tmp_path: Path, dead_name: str) -> None:
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        folder.mkdir(exist_ok=True)
        (folder / dead_name).touch()
    assert Store().remove_leftovers(str(tmp_path), below=True) == 3
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_write_that_is_cut_off_leaves_a_name_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(os.listdir(tmp_path)))
    Store().write_bytes(f"{tmp_path}/photo.jpg", b"bytes")
    (name,) = seen
    assert name.startswith(PREFIX)
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_a_scratch_folder_goes_with_its_use_and_with_its_process(
    tmp_path: Path, dead_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / dead_name).mkdir()
    (tmp_path / dead_name / "copy").touch()
    (tmp_path / "other").mkdir()
    with scratch_folder() as folder:
        assert sorted(os.listdir(tmp_path)) == sorted([folder.name, "other"])
        assert folder.stat().st_mode & 0o077 == 0
    assert os.listdir(tmp_path) == ["other"]
