"""What the tests of the command line start from."""

from pathlib import Path

import pytest
from desk import Desk
from sample_images import GREAT_WAVE, make_photographs


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, data in make_photographs(2).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "style.jpg").write_bytes(GREAT_WAVE.read_bytes())
    desk.write("manifest.jsonl", '{"file_name": "photo00.jpg"}\n{"file_name": "photo01.jpg"}\n')
    return desk
