"""What tests of more than one package stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import reliability
import torch
from local_jobs import LocalBucket
from servers import S3Server, run_seaweed
from stub_stylizers import Invert, install_invert

from stylecore.perception.encoder import Encoder, build_vgg
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, vgg_layers

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A headless browser, for one test: it would be in the way of those of coroutines."""
    from browser import open_browser

    with open_browser() as browser:
        yield browser


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    """A folder to work in."""
    return LocalBucket(tmp_path)


@pytest.fixture
def invert(monkeypatch: pytest.MonkeyPatch) -> Invert:
    """A stylizer that needs no network, in place of every other."""
    return install_invert(monkeypatch)


@pytest.fixture
def tiny_encoder() -> Encoder:
    """VGG-16's layers and names, six channels wide, with seeded random weights."""
    generator = torch.Generator().manual_seed(0)
    blocks = CONVOLUTIONS_PER_BLOCK["vgg16"]
    weights, num_in = {}, 3
    for _, key in vgg_layers(blocks):
        if key is not None:
            spread = (2 / (9 * num_in)) ** 0.5  # keeps activations of one size at any depth
            weights[f"{key}.weight"] = spread * torch.randn(6, num_in, 3, 3, generator=generator)
            weights[f"{key}.bias"] = 0.1 * torch.randn(6, generator=generator)
            num_in = 6
    return build_vgg(blocks, "max", weights)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, started once for all tests that ask for it."""
    with run_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The same, with this process' environment pointing at it and at nothing else."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> reliability.See:
    """Tells docs/reliability.md of a fault, what happened, and a figure."""
    return reliability.see_with(request.node)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reliability", metavar="PAGE", help="renew the lines of the tests in docs/reliability.md"
    )
    parser.addoption(
        "--fuzz-inputs",
        metavar="N",
        type=int,
        default=200,
        help="inputs of each fuzzing",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    passed = terminalreporter.getreports("passed")
    terminalreporter.write("".join(f"{line}\n" for line in reliability.lines_of(passed)))
    if page := config.getoption("--reliability"):
        reliability.write(Path(page), passed)
