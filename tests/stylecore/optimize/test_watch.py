"""What ends a minimisation."""

import subprocess
import sys
import time

import pytest

from stylecore.errors import RunStoppedError
from stylecore.optimize.watch import Watch


def test_nothing_ends_without_a_flag_and_a_deadline():
    watch = Watch()
    watch.check_stop()
    assert not watch.is_late()


def test_a_set_flag_raises():
    with pytest.raises(RunStoppedError):
        Watch(should_stop=lambda: True).check_stop()


def test_it_is_late_from_the_deadline_on():
    assert Watch(deadline=time.monotonic() - 1).is_late()
    assert not Watch(deadline=time.monotonic() + 60).is_late()


def test_a_watch_needs_no_torch():
    code = "import sys, stylecore.optimize.watch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
