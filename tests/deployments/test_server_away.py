"""A Prefect server that is away when a run starts: refused in a sentence, and nothing planned."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import run_stylebatch
from local_jobs import LocalBucket
from reliability import See
from servers import free_ports

pytestmark = pytest.mark.reliability


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and never says a word, as a server that is stopped does."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("how", ["is not there", pytest.param("hangs", marks=pytest.mark.slow)])
def test_a_server_that_is_away_is_told_before_anything_is_planned(
    tmp_path: Path, silent_port: int, seen: See, how: str
) -> None:
    (closed_port,) = free_ports(1)
    bucket = LocalBucket(tmp_path)
    bucket.fill(1)
    port = silent_port if how == "hangs" else closed_port
    url = f"http://127.0.0.1:{port}/api"
    words = ("run", "--manifest", f"{bucket.photographs}/", "--style", tmp_path / "wave.jpg")
    started = time.monotonic()
    answer = run_stylebatch(
        *words, "--output", bucket.output, home=tmp_path, environment={"PREFECT_API_URL": url}
    )
    seconds = time.monotonic() - started
    assert answer.code == 2, answer
    said = f"error: PREFECT_API_URL={url}: the Prefect server does not answer ("
    assert answer.stderr.startswith(said), answer
    assert len(answer.stderr.splitlines()) == 1
    assert not bucket.output.exists()
    seen(
        f"the Prefect server {how} when a run is started",
        "exit 2, one sentence, nothing planned",
        f"{seconds:.1f} s",
    )
