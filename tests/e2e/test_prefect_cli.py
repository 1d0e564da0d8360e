"""``prefect deploy`` with the committed file registers what ``stylebatch deploy`` does."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import clean_environment
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_servers import run_prefect

import deployments
from deployments.catalog import EVERYTHING, catalog
from deployments.differences import Change
from deployments.reconciling import Wanted, reconcile

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

FILE = Path(deployments.__file__).with_name("prefect.yaml")


def prefect(url: str, home: Path, *words: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    environment = clean_environment(home, {"PREFECT_API_URL": url})
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def differences(url: str) -> list[Change]:
    """What a deploy of the same things would still do."""
    settings = temporary_settings({PREFECT_API_URL: url})
    with settings, get_client(sync_client=True) as client:
        wanted = Wanted(catalog(EVERYTHING), {"here": 1})
        changes = reconcile(client, wanted, is_dry_run=True)
    return [change for change in changes if change.verb != "unchanged"]


def test_the_cli_registers_all_of_it_and_deploy_adds_limits_automations_and_whole_jobs(
    tmp_path: Path,
) -> None:
    with run_prefect(tmp_path) as url:
        prefect(url, tmp_path, "work-pool", "create", "stylebatch", "--type", "process")
        prefect(url, tmp_path, "deploy", "--prefect-file", str(FILE), "--all")
        assert [change.line for change in differences(url)] == [
            "created    concurrency limit gpu:here  1 at once",
            "changed (parameters)  deployment stylize-manifest/nightly",
            "changed (parameters)  deployment stylize-uploads/on-upload",
            "created    automation stylebatch: a dead run is marked as crashed",
        ]
