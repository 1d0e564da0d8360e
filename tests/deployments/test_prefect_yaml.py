"""``deployments/prefect.yaml`` says what the catalog says."""

from pathlib import Path

import pytest
import yaml

import deployments
from deployments.catalog import EVERYTHING, catalog
from deployments.prefect_yaml import render_prefect_yaml

FILE = Path(deployments.__file__).with_name("prefect.yaml")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def test_the_committed_file_is_what_the_catalog_gives() -> None:
    assert FILE.read_text("utf-8") == render_prefect_yaml(), "run `make prefect-yaml`"


def test_every_deployment_is_in_it_with_its_entrypoint_and_description() -> None:
    written = yaml.safe_load(FILE.read_text("utf-8"))["deployments"]
    assert [(one["name"], one["entrypoint"], one["description"]) for one in written] == [
        (one.name, one.entrypoint, one.description) for one in catalog(EVERYTHING)
    ]


def test_its_first_lines_say_how_to_use_it_and_what_to_change() -> None:
    lines = FILE.read_text("utf-8").splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    for words in (
        "prefect work-pool create stylebatch",
        "--all",
        "are samples",
        "make prefect-yaml",
    ):
        assert words in header
