"""Real servers, and the command line that talks to them."""

from collections.abc import Iterator

import pytest
from buckets import Workplace
from prefect_servers import run_prefect
from servers import S3Server


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API URL of a real Prefect server, started once for all tests that ask for it."""
    with run_prefect(tmp_path_factory.mktemp("prefect")) as url:
        yield url


@pytest.fixture(scope="session")
def workplace(
    s3_server: S3Server, prefect_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Workplace:
    """A bucket for photographs, one for pictures, and a shell next to both servers."""
    return Workplace(s3_server, prefect_url, tmp_path_factory.mktemp("home"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="keep pictures of the dashboard there, to look at"
    )
