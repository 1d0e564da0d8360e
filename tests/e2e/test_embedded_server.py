"""A run without PREFECT_API_URL: Prefect's embedded server starts, and is neither seen nor left."""

import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from command_line import STYLEBATCH, clean_environment, run_stylebatch
from local_jobs import LocalBucket
from reliability import See
from stacks import processes_in, wait_until

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


def embedded_api(home: Path) -> str | None:
    """Where the embedded server of a run listens, once it does."""
    for words, process in processes_in(home).items():
        if "prefect.server.api.server:create_app" in words:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1"
                    return f"http://127.0.0.1:{connection.laddr.port}/api"
    return None


@pytest.mark.reliability
def test_the_embedded_server_lets_in_nobody_but_its_run(tmp_path: Path, seen: See) -> None:
    bucket = LocalBucket(tmp_path)
    bucket.fill(2)
    request = ["run", "--manifest", f"{bucket.photographs}/", "--output", str(bucket.output)]
    request += ["--style", str(tmp_path / "wave.jpg"), "--set", "optimize.num_evaluations=500"]
    with subprocess.Popen([STYLEBATCH, *request], cwd=tmp_path, env=clean_environment(tmp_path)):
        api = wait_until(lambda: embedded_api(tmp_path), 120)
        wait_until(lambda: list(bucket.output.glob("runs/*/claims/*")), 120)
        answer = httpx.post(f"{api}/flow_runs/filter", json={}, timeout=60)
        words = "\n".join(processes_in(tmp_path))
        for process in processes_in(tmp_path).values():
            process.terminate()
    assert answer.status_code == 401
    assert "stylebatch:" not in words
    seen(
        "another user of this machine asks Prefect's embedded server, while `run` uses it",
        "refused: it wants a secret that only the run knows",
        f"HTTP {answer.status_code}",
    )
