"""Prefect's server as docs/operations.md sets it up: on PostgreSQL, and with credentials."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import Answer, run_stylebatch
from postgresql import run_postgresql
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType, TaskRun
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect_servers import run_prefect
from sample_images import GREAT_WAVE, POPPIES, crop_jpeg

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

NUM_PHOTOGRAPHS = 300
RECORDER_LAG_S = 120
RECORDER = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


@dataclass(frozen=True)
class Site:
    """A server, who may use it, and a shell beside it."""

    url: str
    auth: str
    home: Path

    def stylebatch(self, *arguments: str, auth: str | None) -> Answer:
        """Run one command, with or without credentials."""
        environment = {"PREFECT_API_URL": self.url}
        if auth is not None:
            environment["PREFECT_API_AUTH_STRING"] = auth
        return run_stylebatch(*arguments, home=self.home, environment=environment, timeout_s=400)

    def task_runs(self) -> list[TaskRun]:
        """All that the server has recorded."""
        settings = {PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: self.auth}
        found: list[TaskRun] = []
        with temporary_settings(settings), get_client(sync_client=True) as client:
            while page := client.read_task_runs(limit=200, offset=len(found)):
                found += page
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server, home = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("home")
    auth = f"night:{secrets.token_hex(16)}"
    with run_postgresql() as database:
        settings = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_API_AUTH_STRING": auth,
            **RECORDER,
        }
        with run_prefect(server, settings) as url:
            yield Site(url, auth, home)


@pytest.fixture(scope="module")
def request_(site: Site) -> list[str]:
    """A run of as many shards as photographs."""
    photographs = site.home / "in"
    photographs.mkdir()
    for number in range(NUM_PHOTOGRAPHS):
        data = crop_jpeg(POPPIES, (24, 16), offset=number % 100)
        (photographs / f"{number:03d}.jpg").write_bytes(data + bytes([number // 100]))
    options = ["--manifest", f"{photographs}/", "--style", str(GREAT_WAVE), "--method", "identity"]
    limits = ["--set", "limits.rows_per_shard=1", "--max-side-px", "16"]
    return ["run", *options, *limits, "--output", str(site.home / "out")]


@pytest.mark.parametrize("auth", [None, "night:wrong"])
@pytest.mark.parametrize("command", ["run", "deploy"])
def test_without_the_right_credentials_nothing_is_begun(
    site: Site, request_: list[str], command: str, auth: str | None
) -> None:
    arguments = request_ if command == "run" else ["deploy"]
    answer = site.stylebatch(*arguments, auth=auth)
    assert (answer.code, answer.stdout) == (2, ""), answer
    assert "does not let us in. Set PREFECT_API_AUTH_STRING" in answer.stderr
    assert not (site.home / "out").exists()


def test_doctor_finds_missing_credentials_and_right_ones(site: Site) -> None:
    without, with_ = (site.stylebatch("doctor", auth=auth) for auth in (None, site.auth))
    assert (without.code, with_.code) == (1, 0), without
    assert (
        f"MISSING  server    PREFECT_API_URL={site.url}: the Prefect server does not let us in"
        in (without.stdout)
    )
    assert f"ok       server    {site.url} answers" in with_.stdout


def test_credentials_of_a_prefect_profile_are_as_good(site: Site, tmp_path: Path) -> None:
    profile = tmp_path / ".prefect" / "profiles.toml"
    profile.parent.mkdir()
    profile.write_text(
        f'active = "night"\n[profiles.night]\nPREFECT_API_AUTH_STRING = "{site.auth}"\n'
    )
    answer = Site(site.url, site.auth, tmp_path).stylebatch("doctor", auth=None)
    assert (answer.code, f"{site.url} answers" in answer.stdout) == (0, True), answer


def test_deploy_passes_the_credentials_on(site: Site) -> None:
    answer = site.stylebatch("deploy", auth=site.auth)
    assert answer.code == 0, answer
    settings = {PREFECT_API_URL: site.url, PREFECT_API_AUTH_STRING: site.auth}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        assert client.read_deployment_by_name("stylize-manifest/nightly").work_pool_name


def test_the_server_records_every_task_run_and_the_ledger_every_picture(
    site: Site, request_: list[str]
) -> None:
    answer = site.stylebatch(*request_, auth=site.auth)
    assert (answer.code, answer.lines[0]) == (0, f"made {NUM_PHOTOGRAPHS}, skipped 0, failed 0")
    tables = (Path(answer.run_uri) / "results").iterdir()
    results = [row for table in tables for row in pq.read_table(table).to_pylist()]
    assert Counter(row["status"] for row in results) == {"made": NUM_PHOTOGRAPHS}
    assert len({row["output_uri"] for row in results}) == NUM_PHOTOGRAPHS
    expected = NUM_PHOTOGRAPHS + len(("plan", "close"))
    assert completed_task_runs(site, expected) == {StateType.COMPLETED: expected}


def completed_task_runs(site: Site, expected: int) -> Counter[StateType | None]:
    """States of the server's task runs, once there are no more to come: it writes them late."""
    deadline = time.monotonic() + RECORDER_LAG_S
    while True:
        states = Counter(run.state_type for run in site.task_runs())
        if states[StateType.COMPLETED] >= expected or time.monotonic() > deadline:
            return states
        time.sleep(1)
