"""Processes of the stack: reported when they end, and stopped with everything they started."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
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


def wait_for_word(folder: Path) -> None:
    wait_until(lambda: "here" in (folder / "server.log").read_text(), 20)


def test_a_process_that_ends_is_reported_with_its_last_words(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, "import sys; print('no such bucket'); sys.exit(3)"))
    with pytest.raises(ChildEndedError, match=r"server ended .*exit code 3.*\n(.*\n)*no such"):
        children.watch(threading.Event())


def test_stopping_ends_the_children_of_children_and_who_does_not_listen(
    children: Children, tmp_path: Path
) -> None:
    children.start(spec(tmp_path, WITH_A_CHILD, patience_s=0.5))
    wait_until(lambda: (tmp_path / "server.log").read_text().count("here") == 2, 20)
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
    wait_for_word(tmp_path)
    children.stop()
    assert processes_in(tmp_path) == {}


def test_a_watch_ends_when_it_is_told_to(children: Children, tmp_path: Path) -> None:
    children.start(spec(tmp_path, FOREVER))
    stop = threading.Event()
    stop.set()
    children.watch(stop)


def test_a_child_does_not_share_the_terminal(children: Children, tmp_path: Path) -> None:
    children.start(spec(tmp_path, f"import os; print('here', os.getsid(0)); {FOREVER}"))
    wait_for_word(tmp_path)
    assert (tmp_path / "server.log").read_text().split() != ["here", str(os.getsid(0))]
