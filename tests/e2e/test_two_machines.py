"""One job on two machines over one bucket: dead, stopped, or both at the same moment."""

import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pytest
from machines import ALL_MADE, SharedJob, finish
from reliability import See
from servers import S3Server

from stylecore.batch.claims import STALE_AFTER_S

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(900),
]


@pytest.fixture
def job(s3_environment: S3Server, prefect_url: str, tmp_path: Path) -> SharedJob:
    names = {**s3_environment.environment, "PREFECT_API_URL": prefect_url}
    job = SharedJob(tmp_path, f"s3://outbox/{uuid4().hex}", names)
    job.fill()
    return job


def test_two_command_lines_at_the_same_moment_make_each_picture_once(
    job: SharedJob, seen: See
) -> None:
    with job.machine("a", together=2) as a, job.machine("b", together=2) as b:
        answers = [finish(a), finish(b)]
        shares = [len(job.written("picture", process)) for process in (a, b)]
    assert answers[0].run_uri == answers[1].run_uri
    assert all(answer.lines[0] == ALL_MADE for answer in answers), answers
    job.assert_consistent(answers[0].run_uri)
    assert min(shares) > 0
    seen(
        "the same job is started on two machines at the same moment, over S3",
        "one run, shared; every picture made once, the ledger is true",
        f"{shares[0]} and {shares[1]} pictures",
    )


def test_the_shard_of_a_machine_that_died_is_taken_over_once_its_claim_is_stale(
    job: SharedJob, seen: See
) -> None:
    with job.in_the_middle_of_a_shard() as (a, b):
        os.kill(a.pid, signal.SIGKILL)
        died = time.monotonic()
        answer = finish(b)
    seconds = time.monotonic() - died
    assert answer.lines[0] == ALL_MADE, answer
    job.assert_consistent(answer.run_uri)
    assert seconds > STALE_AFTER_S - 20, "it was touched at most 15 s before"
    seen(
        "one of two machines is killed in the middle of a shard",
        "the other waits for its claim to become stale, and finishes the shard",
        f"done {seconds:.0f} s after the kill",
    )


def test_a_machine_that_stood_still_spoils_nothing_when_it_goes_on(
    job: SharedJob, seen: See
) -> None:
    with job.in_the_middle_of_a_shard() as (a, b):
        os.kill(a.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        answer = finish(b)
        seconds = time.monotonic() - stopped
        os.kill(a.pid, signal.SIGCONT)
        late = finish(a)
    assert answer.lines[0] == late.lines[0] == ALL_MADE
    job.assert_consistent(answer.run_uri)
    seen(
        "one of two machines stands still (SIGSTOP) until the other finished its shards",
        "what it goes on to write replaces neither pictures nor results",
        f"stood still for {seconds:.0f} s",
    )
