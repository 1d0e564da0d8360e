"""Prefect's test harness, once per session, and a folder to work in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_jobs import LocalBucket
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness
from stub_stylizers import Invert, install_invert


@pytest.fixture(scope="session")
def harness() -> Iterator[str]:
    """A server for flows that run in this process; yields its API URL."""
    with prefect_test_harness(server_startup_timeout=90):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


@pytest.fixture
def invert(monkeypatch: pytest.MonkeyPatch) -> Invert:
    return install_invert(monkeypatch)
