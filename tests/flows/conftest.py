"""Prefect's test harness, once per session."""

from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def harness() -> Iterator[str]:
    """A server for flows that run in this process; yields its API URL."""
    with prefect_test_harness(server_startup_timeout=90):
        yield str(PREFECT_API_URL.value())
