"""How many inputs, and time for them."""

import pytest


@pytest.fixture
def fuzz_inputs(request: pytest.FixtureRequest) -> int:
    """How many inputs each fuzzing gets."""
    return int(request.config.getoption("--fuzz-inputs"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A hundred thousand inputs take minutes; one that hangs ends by the fuzzing's own watch."""
    for item in items:
        if "fuzz_inputs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(3600))
