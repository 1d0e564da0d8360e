"""``doctor``: what is here and what is missing, before a night depends on it."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Final

from deployments.console import say
from deployments.doctor_server import examine_server, examine_skew
from deployments.environment import credentials_named
from deployments.findings import Finding
from stylecore.batch.estimate import PixelWork, stylizer_memory_bytes
from stylecore.batch.faults import job_errors
from stylecore.batch.store import Store
from stylecore.batch.uris import check_folder
from stylecore.errors import JobError

_SIDES_PX: Final = (256, 512, 1024, 2048)
_PACKAGES: Final = ("stylebatch", "prefect", "torch", "torchvision", "pillow", "s3fs")
_MIN_FREE_BYTES: Final = 1e9
EXIT_WELL: Final = 0
EXIT_MISSING: Final = 1


def examine(uri: str | None = None) -> int:
    """Print every finding; returns 0 where nothing is missing, else 1.

    Args:
        uri: bucket or folder to try to read and write; without one, no store is asked.

    Raises:
        JobError: the URI is malformed.
    """
    if uri is not None:
        with job_errors("folder"):
            uri = check_folder(uri)
    findings = [finding for check in _CHECKS for finding in check()]
    findings += examine_store(uri) if uri is not None else []
    for finding in findings:
        say(finding.line())
    is_missing = any(finding.state == "MISSING" for finding in findings)
    return EXIT_MISSING if is_missing else EXIT_WELL


def _versions() -> Iterator[Finding]:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Finding("versions", f"Python {platform.python_version()}, {packages}")


def _weights() -> Iterator[Finding]:
    from stylecore.perception.weights import load_lpips_heads, load_weights

    try:
        load_weights("vgg16", None)
        load_lpips_heads()
    except (JobError, OSError) as error:
        yield Finding("weights", str(error), "MISSING")
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
    for what, folder in (("this folder", "."), ("scratch", tempfile.gettempdir())):
        free = shutil.disk_usage(folder).free
        text = f"{free / 1e9:.0f} GB free in {what}"
        if free > _MIN_FREE_BYTES:
            yield Finding("disk", text)
        else:
            how = "free some" if folder == "." else f"free some of {folder}, or set TMPDIR"
            yield Finding("disk", f"{text}: {how}", "MISSING")


def _storage() -> Iterator[Finding]:
    named = credentials_named()
    text = f"{', '.join(named)} set" if named else "no AWS_ variables; profiles or roles may do"
    yield Finding("storage", f"{text}; `stylebatch doctor s3://bucket/folder` asks the store")


def examine_store(uri: str) -> Iterator[Finding]:
    """Whether a store can be reached, read and written, and creates objects once; and its clock."""
    store = Store()
    try:
        store.check_reachable(uri, uri)
        yield Finding("store", f"{uri} can be reached")
        start = time.monotonic()
        store.check_writable(uri)
        seconds = time.monotonic() - start
    except JobError as error:
        yield Finding("store", str(error), "MISSING")
        return
    yield Finding("store", f"{uri} can be written, and creates an object once ({seconds:.2f} s)")
    yield examine_skew(time.time() - store.time_at(uri).timestamp(), "the store's")


_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _versions,
    _device,
    _weights,
    _memory,
    _disk,
    _storage,
    examine_server,
)
