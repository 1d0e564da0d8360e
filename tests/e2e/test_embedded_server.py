"""A run without PREFECT_API_URL: Prefect's embedded server starts, and is neither seen nor left."""

from pathlib import Path

import psutil
import pytest
from command_line import run_stylebatch
from local_jobs import LocalBucket

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_run_without_a_server_is_quiet_and_leaves_no_process(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path)
    bucket.fill(2)
    request = ["run", "--manifest", f"{bucket.photographs}/", "--output", str(bucket.output)]
    request += ["--style", str(tmp_path / "wave.jpg"), "--method", "identity"]
    answer = run_stylebatch(*request, home=tmp_path)
    assert (answer.code, answer.lines[0]) == (0, "made 2, skipped 0, failed 0"), answer
    assert len(answer.stderr.splitlines()) <= 3, answer
    home = str(tmp_path)
    assert [p.pid for p in psutil.process_iter() if home in " ".join(command_of(p))] == []


def command_of(process: psutil.Process) -> list[str]:
    """Command line and working folder of a process, as far as we may see them."""
    try:
        return [*process.cmdline(), process.cwd(), process.environ().get("PREFECT_HOME", "")]
    except psutil.Error:
        return []
