"""Golden pictures: what a method made once, looked at, and should go on making."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from golden_pictures import compare
from PIL import Image

from stylecore.images.codec import RgbImage

EXPECTED = Path(__file__).parent / "expected"
CheckGolden = Callable[[str, RgbImage], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update", action="store_true", help="take what the methods make now as expected"
    )


@pytest.fixture
def check_golden(request: pytest.FixtureRequest, tmp_path: Path) -> CheckGolden:
    """Compare a picture with the one kept under a name, or keep it with ``--golden-update``."""

    def check(name: str, actual: RgbImage) -> None:
        path = EXPECTED / f"{name}.png"
        if request.config.getoption("--golden-update", default=False):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(actual).save(path)
            return
        with Image.open(path) as image:
            complaint = compare(actual, np.asarray(image), tmp_path)
        if complaint is not None:
            pytest.fail(f"{name}: {complaint}")

    return check
