"""``doctor``: what is here and what is missing, before a night depends on it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from deployments.console import say
from deployments.environment import check_server, credentials_named, server_url
from stylecore.batch.estimate import PixelWork, stylizer_memory_bytes
from stylecore.errors import JobError

_SIDES_PX: Final = (256, 512, 1024, 2048)
_PACKAGES: Final = ("stylebatch", "prefect", "torch", "torchvision", "pillow", "s3fs")
EXIT_WELL: Final = 0
EXIT_MISSING: Final = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; a run cannot do without what is not well."""

    what: str
    text: str
    is_well: bool = True


def examine() -> int:
    """Print every finding; returns 0 where all is well, else 1."""
    findings = [finding for check in _CHECKS for finding in check()]
    for finding in findings:
        say(f"{'ok     ' if finding.is_well else 'MISSING'}  {finding.what:<9} {finding.text}")
    return EXIT_WELL if all(finding.is_well for finding in findings) else EXIT_MISSING


def _versions() -> Iterator[Finding]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Finding("versions", f"Python {platform.python_version()}, {packages}")


def _weights() -> Iterator[Finding]:
    from stylecore.perception.weights import load_lpips_heads, load_weights

    try:
        load_weights("vgg16", None)
        load_lpips_heads()
    except (JobError, OSError) as error:
        yield Finding("weights", str(error), is_well=False)
    else:
        yield Finding("weights", "shipped VGG-16 and LPIPS heads are whole")


def _device() -> Iterator[Finding]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    text = ", ".join(names) or f"no GPU; CPU with {torch.get_num_threads()} threads"
    yield Finding("device", text)


def _memory() -> Iterator[Finding]:
    needs = []
    for side_px in _SIDES_PX:
        work = PixelWork("vgg16", side_px, side_px, num_evaluations=60)
        needs.append(f"{side_px} px {stylizer_memory_bytes(work) / 1e9:.1f} GB")
    yield Finding("memory", f"a square picture needs about {', '.join(needs)}")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    yield Finding("disk", f"{free / 1e9:.0f} GB free in this folder", is_well=free > 1e9)


def _storage() -> Iterator[Finding]:
    named = credentials_named()
    text = f"{', '.join(named)} set" if named else "no AWS_ variables; profiles or roles may do"
    yield Finding("storage", text)


def _server() -> Iterator[Finding]:
    url = server_url()
    try:
        check_server()
    except JobError as error:
        yield Finding("server", str(error), is_well=False)
    else:
        yield Finding("server", f"{url} answers" if url else "none named: Prefect's embedded one")


_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _versions,
    _device,
    _weights,
    _memory,
    _disk,
    _storage,
    _server,
)
