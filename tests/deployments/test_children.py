"""Processes of the stack: started again when they end, and stopped with all that they started."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from stacks import processes_in, wait_until

from deployments.children import ChildEndedError, Children, ChildSpec

FOREVER = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here'); {FOREVER}"
WITH_A_CHILD = (
    "import subprocess, sys, time; "
    f"subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); print('here'); time.sleep(600)"
)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    children = Children(tmp_path)
    yield children
    children.stop()


def spec(folder: Path, code: str, patience_s: float = 10) -> ChildSpec:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return ChildSpec("server", [sys.executable, "-c", code], environment, folder, patience_s)


def wait_for_words(folder: Path, count: int) -> None:
    wait_until(lambda: (folder / "server.log").read_text().count("here") >= count, 20)


def test_a_process_that_ends_while_the_stack_starts_is_reported_with_its_last_words(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, "import sys; print('no such bucket'); sys.exit(3)"))
    with pytest.raises(ChildEndedError, match=r"server ended .*exit code 3.*\n(.*\n)*  no such"):
        wait_until(children.check, 20)


def test_a_process_that_is_killed_is_started_again_and_said_so(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, WITH_A_CHILD))
    wait_for_words(tmp_path, 2)
    before = {process.pid for process in processes_in(tmp_path).values()}
    said: list[str] = []
    with watching(children, said):
        (leader,) = [psutil.Process(pid) for pid in before if is_leader(pid)]
        leader.kill()
        wait_for_words(tmp_path, 4)
        after = {process.pid for process in processes_in(tmp_path).values()}
    (line,) = said
    assert line.startswith("server ended by itself (killed by SIGKILL), and is started again (1 of")
    assert len(after) == 2
    assert not before & after, "what the dead one had started is left"


def test_a_process_that_ends_again_and_again_is_given_up(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.children._FIRST_PAUSE_S", 0.001)
    children.start(spec(tmp_path, "print('here')"))
    said: list[str] = []
    with pytest.raises(ChildEndedError, match="for the 4th time within 10 minutes"):
        children.watch(threading.Event(), said.append)
    assert len(said) == 3
    assert (tmp_path / "server.log").read_text().count("here") == 4


def test_restarts_of_long_ago_do_not_count(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.children._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("deployments.children._RESTARTS_WITHIN_S", 0.0)
    children.start(spec(tmp_path, "print('here')"))
    said: list[str] = []
    with watching(children, said):
        wait_for_words(tmp_path, 6)


def is_leader(pid: int) -> bool:
    return os.getpgid(pid) == pid


@contextmanager
def watching(children: Children, said: list[str]) -> Iterator[None]:
    stop = threading.Event()
    watch = threading.Thread(target=children.watch, args=(stop, said.append))
    watch.start()
    try:
        yield
    finally:
        stop.set()
        watch.join()


def test_stopping_ends_the_children_of_children_and_who_does_not_listen(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, WITH_A_CHILD, patience_s=0.5))
    wait_for_words(tmp_path, 2)
    assert len(processes_in(tmp_path)) == 2
    children.stop()
    wait_until(lambda: not is_anybody_alive(tmp_path), 20)  # dying takes a moment


def is_anybody_alive(folder: Path) -> bool:
    for process in processes_in(folder).values():
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def test_who_listens_is_not_waited_for_to_the_end_of_patience(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, f"print('here'); {FOREVER}", patience_s=200))
    wait_for_words(tmp_path, 1)
    children.stop()
    assert processes_in(tmp_path) == {}


def test_a_watch_ends_when_it_is_told_to(children: Children, tmp_path: Path) -> None:
    children.start(spec(tmp_path, FOREVER))
    stop = threading.Event()
    stop.set()
    children.watch(stop, print)


def test_a_child_does_not_share_the_terminal(children: Children, tmp_path: Path) -> None:
    children.start(spec(tmp_path, f"import os; print('here', os.getsid(0)); {FOREVER}"))
    wait_for_words(tmp_path, 1)
    assert (tmp_path / "server.log").read_text().split() != ["here", str(os.getsid(0))]
