"""Machines whose clocks are wrong by an hour or a day: no decision depends on them."""

import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pytest
from machines import ALL_MADE, PHOTOGRAPHS, SharedJob, finish
from reliability import See
from sample_images import PHOTOGRAPHS as PHOTOGRAPH_FILES
from sample_images import crop_jpeg
from servers import S3Server

from stylecore.batch.claims import STALE_AFTER_S, holder_of
from stylecore.batch.ledger import open_ledger
from stylecore.batch.store import Store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(900),
]


@pytest.fixture
def job(prefect_url: str, tmp_path: Path) -> SharedJob:
    """In a folder, as of a file server: it tells the time of files."""
    job = SharedJob(tmp_path, f"{tmp_path}/shared", {"PREFECT_API_URL": prefect_url})
    job.fill()
    return job


def add_photograph(job: SharedJob, number: int) -> None:
    data = crop_jpeg(PHOTOGRAPH_FILES[0], (60, 40), offset=10 * number)
    Path(job.place, "in", f"new{number}.jpg").write_bytes(data)


def wait_until_stale(job: SharedJob) -> None:
    """Here, by a right clock: under libfaketime a wait of seconds becomes one of an hour or day."""
    (run,) = Path(job.place, "out", "runs").glob("*/job.json")
    ledger = open_ledger(Store(), str(run.parent))
    deadline = time.monotonic() + 2 * STALE_AFTER_S
    while any(holder_of(ledger, number) for number in range(len(ledger.record.shards))):
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.parametrize(("a_ahead", "b_ahead"), [("+1d", ""), ("+1h", "+1d")])
def test_claims_and_skipping_go_by_the_clock_of_the_store(
    job: SharedJob, seen: See, a_ahead: str, b_ahead: str
) -> None:
    with job.machine("a", a_ahead, quick=1, seconds=90.0) as a:
        job.wait_for("picture", a)
        os.kill(a.pid, signal.SIGKILL)
    wait_until_stale(job)
    with job.machine("b", b_ahead) as b:
        answer = finish(b)
    assert answer.lines[0] == ALL_MADE, answer
    job.assert_consistent(answer.run_uri)
    lines = []
    for number, clock in enumerate((a_ahead, b_ahead)):
        add_photograph(job, number)
        lines.append(job.stylebatch(*job.words, clock=clock).lines[0])
    assert lines == [f"made 1, skipped {PHOTOGRAPHS + n}, failed 0" for n in (0, 1)]
    seen(
        f"the clocks of two machines are ahead by {a_ahead} and {b_ahead or 'nothing'}, and the "
        "first is killed",
        "its shard is taken over as ever; what is there is skipped, what is new is made",
        f"then {lines[0]}; {lines[1]}",
    )


@pytest.mark.parametrize("ahead", ["+1h", "+1d"])
def test_s3_refuses_a_wrong_clock_and_the_sentence_says_so(
    s3_environment: S3Server, prefect_url: str, tmp_path: Path, seen: See, ahead: str
) -> None:
    names = {**s3_environment.environment, "PREFECT_API_URL": prefect_url}
    job = SharedJob(tmp_path, f"s3://outbox/{uuid4().hex}", names)
    job.fill()
    answer = job.stylebatch(*job.words, clock=ahead)
    assert answer.code == 2, answer
    assert "this machine's clock differs too much from the store's. Set the clock" in answer.stderr
    seen(
        f"the clock of a machine is wrong by {ahead}, and the store is S3",
        "exit 2, one sentence that says to set the clock: signatures of another time are refused",
        f"{len(answer.stderr.splitlines())} line",
    )
