"""A folder to work in, and a stylizer that needs no network."""

from pathlib import Path

import pytest
from local_jobs import LocalBucket
from stub_stylizers import Invert, install_invert


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path)


@pytest.fixture
def invert(monkeypatch: pytest.MonkeyPatch) -> Invert:
    return install_invert(monkeypatch)
