"""How many devices this host has; torch counts them, in a process of its own that ends again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

# What a driver of NVIDIA, of AMD or of Windows' Linux makes; without one, nothing is to be counted.
_DRIVERS: Final = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_COUNT: Final = "import torch; print(torch.cuda.device_count())"


def devices_here() -> dict[str, int]:
    """This host and the number of its CUDA devices; without any there is nothing to limit."""
    count = _count_devices()
    return {socket.gethostname(): count} if count else {}


def _count_devices() -> int:
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return 0
    done = subprocess.run(  # noqa: S603 - our own Python
        [sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])
